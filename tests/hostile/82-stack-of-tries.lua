local function f() return try(f) end f() local function g() local a, b = try(g) error(b) end while true do try(g) end
