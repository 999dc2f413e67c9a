return error(string.format("%p", {}))
