local t = {} for i = 1, 16 do local u = {} for k = 1, 64 do u[k] = t end t = u end error(t)
