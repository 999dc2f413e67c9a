local s = rep("x", 32000) while true do local a = { s:byte(1, -1) } end
