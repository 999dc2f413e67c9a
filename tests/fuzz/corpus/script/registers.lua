return { decode = function(r) local v = registers(r.bytes, 10) return { points = { f = v:f32(11), u = v:u16(10, "ba"), s = v:s32(10, "cdab"), t = v:string(10, 2), b = v:bits(10) } } end }
