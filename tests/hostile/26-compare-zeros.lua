local a = rep("\0", 32000) .. "a" local b = rep("\0", 32000) .. "b" while a < b do end
