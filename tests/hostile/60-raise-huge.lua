error(rep("\n\27[31m", 6000))
