return { points = { x = function() end }, decode = 5, [1] = string, [{}] = {} }
