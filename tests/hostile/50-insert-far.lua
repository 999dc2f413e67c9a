local t = {} try(table.insert, t, math.maxinteger, 1) table.insert(t, math.mininteger, 1)
