function helper(x) return x * 2 end scale = 2 return { decode = function(r) other = 1 end, encode = function() return { { a = helper(scale) } } end }
