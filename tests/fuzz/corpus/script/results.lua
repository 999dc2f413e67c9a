return { decode = function(r) return { { raw = r.bytes }, { event = "e", values = { x = true } }, { attributes = { s = "t" } }, {} } end }
