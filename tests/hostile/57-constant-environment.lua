local _ENV <const> = { a = 1 } local function f() b = a return c.d end f()
