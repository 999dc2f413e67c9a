local t = {} for i = 1, 8000 do t["k" .. i] = i end for i = 1, 8000 do t["k" .. i] = nil end local l = {} for i = 1, 6000 do l[i] = t end return { points = { x = l } }
