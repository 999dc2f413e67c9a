local s, w = rep("a", 32000), rep("a", 15999) .. "b" while true do find(s, w) end
