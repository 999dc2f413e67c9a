local function f() try(f) try(f) end f()
