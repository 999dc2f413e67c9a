local s = rep("\128", 32000) local step = utf8.codes("") while true do try(step, s, 1) end
