local s = rep("a", 32000) while true do try(string.unpack, "z", s) end
