while true do string.pack(rep("x", 30000)) string.packsize(rep("i16", 10000)) end
