local t = { 3, 2, 1 } sort(t, function(a, b) for i = 1, 1000 do t[#t + 1] = i end return a < b end) sort(t, function() t[#t + 1] = 1 sort(t) end)
