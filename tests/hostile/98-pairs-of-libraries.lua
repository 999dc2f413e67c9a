for k, v in pairs(string) do error(k) end local step = pairs(math) while true do step({}, "huge") end
