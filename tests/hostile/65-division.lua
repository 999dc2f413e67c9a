local a, b = try(function() return 1 // 0 end) local c, d = try(function() return 1 % 0 end) return math.mininteger // -1, math.fmod(math.mininteger, -1), error(math.tointeger(2^53))
