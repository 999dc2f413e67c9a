local s = "" while true do s = s .. 1e308 .. 0.1 .. math.pi end
