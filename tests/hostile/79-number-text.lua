local s = rep("9", 32000) while true do tonumber(s) tonumber(s, 10) math.abs(s) end
