return { encode = function(c) return nil, "no\n" .. c.id end, reply = function() return { raw = "x" } end }
