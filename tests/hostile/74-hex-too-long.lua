return hex(rep("x", 30000), "0123456789abcdef")
