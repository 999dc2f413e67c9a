local t = {} return { decode = function(r) for i = 1, 1e6 do t[#t + 1] = { r.bytes } end end }
