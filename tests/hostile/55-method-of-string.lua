("x").format = nil
