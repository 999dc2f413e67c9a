for i = 1, 1e9 do _ENV["g" .. i] = i end
