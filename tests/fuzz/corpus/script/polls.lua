return { polls = function(d) return { { name = d.name, period = 5, values = { 1, 2.5, true, "x" } } } end }
