local a, b = rep("x", 16000), rep("x", 16000) local c, d = a .. a, b .. b while c == d do end
