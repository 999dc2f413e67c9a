local s, t = rep("x", 32000), {} for i = 1, 200 do t[i] = { raw = s } end return t
