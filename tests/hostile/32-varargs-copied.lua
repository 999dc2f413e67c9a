local function f(...) return select("#", ...) end
local function g(n, ...) if n == 0 then while true do f(...) end end return g(n - 1, n, ...) end g(3000)
