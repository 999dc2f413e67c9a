local function f(n) if n == 0 then while true do try(error, "x", 1e9) end end return 1 + f(n - 1) end f(2000)
