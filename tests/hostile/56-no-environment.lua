_ENV = nil local x = y
