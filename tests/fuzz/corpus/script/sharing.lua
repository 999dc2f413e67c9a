local t = { 1 } for i = 1, 14 do t = { t, t, t, t, t, t } end return { decode = function() return { points = { x = t } } end }
