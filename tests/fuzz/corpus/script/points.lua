return { decode = function(r, d) return { points = { a = string.unpack(">I2", r.bytes), b = 1.5 } } end }
