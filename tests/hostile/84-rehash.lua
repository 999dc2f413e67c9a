local t = {} for i = 1, 8191 do t["k" .. i] = 1 end local n = 8192 while true do t["k" .. n - 4000] = nil t["k" .. n] = 1 n = n + 1 end
