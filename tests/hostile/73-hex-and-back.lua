local s = rep("\255", 10000) while true do unhex(hex(s)) end
