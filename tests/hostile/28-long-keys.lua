local t = {} for i = 1, 1e9 do t[rep("k", 30000) .. i % 16] = i end
