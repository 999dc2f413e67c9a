return { decode = function(r, d) d.parameters.x = 1 end, encode = function(c, d) d.state = { c } return {} end, reply = function(c, r, d) string.x = 1 end }
