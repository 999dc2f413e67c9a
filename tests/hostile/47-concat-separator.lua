local t = {} for i = 1, 1000 do t[i] = "" end while true do table.concat(t, rep("s", 30)) end
