local t = {} while t ~= {} do end
