local step, t = pairs(device and device.parameters or string) local k, v = step(t) try(function() t[k] = nil end) try(table.insert, t, 1) try(sort, t) t.x = 1
