string.format = function() return "mine" end
