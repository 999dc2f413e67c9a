local t = { 1 } for i = 1, 14 do local u = {} for k = 1, 100 do u[k] = t end t = u end return { points = { x = t } }
