local t = {} t.points = t return t
