for i = 1.0, 1e300, 1e-300 do end
