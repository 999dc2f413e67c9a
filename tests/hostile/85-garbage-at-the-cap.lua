local keep = {} for i = 1, 40 do keep[i] = rep("x", 20000) .. i end while true do local s = rep("y", 30000) .. "z" end
