return { decode = function(r) while true do try(function() while true do end end) end end }
