local s = rep("\u{7fffffff}", 5000) while true do utf8.len(s, 1, -1, true) utf8.offset(s, -1) utf8.codepoint(s, 1, -1, true) end
