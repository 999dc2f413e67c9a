return { decode = function(r, d) d.state.n = (d.state.n or 0) + 1 d.state[tostring(d.state.n)] = { r.bytes, null } return { points = { n = d.state.n } } end }
