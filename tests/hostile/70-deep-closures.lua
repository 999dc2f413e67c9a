local f = function() end for i = 1, 1e5 do local g = f f = function() return 1 + g() end end f()
