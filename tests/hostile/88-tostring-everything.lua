local s = tostring({}) .. tostring(print == nil) .. tostring(string.len) if find(s, "0x") then while true do end end error(s)
