return { decode = function( end
