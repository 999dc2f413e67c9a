local function g(...) return g(1, ...) end g()
