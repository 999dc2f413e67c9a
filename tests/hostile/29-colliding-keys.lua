local t, m = {}, (1 << 14) - 1 for i = 1, 1e7 do t[i * m] = true end
