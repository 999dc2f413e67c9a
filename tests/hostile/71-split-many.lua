while true do split(rep(",", 30000), ",") end
