local n = 5 return n:rep(3)
