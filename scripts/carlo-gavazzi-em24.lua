-- Maker:   Carlo Gavazzi
-- Models:  EM24-DIN with RS-485 (not with Ethernet, which is in carlo-gavazzi-em340.lua)
-- Wire:    Modbus RTU, often 9600 baud, 8N1, unit 1: check the device's own setting
-- Source:  mbmd (CGEM24); the mark of overflow from Carlo Gavazzi, "EM24-DIN PFA, PFB & X models -
--          Communication Protocol", page 7, as public manual sites show it; not tried on hardware
-- Lacks:   apparent and reactive power, demands, tariffs, gas and water counters, settings
--
-- Three-phase energy analyser.  Integers in input registers, of 32 bits with the low word first.
-- A high word of 0x7fff stands for a value beyond what it can measure: the point is left out.
--
-- Parameters:  period         seconds between two readings of the live values; 5
--              energy_period  the same for energies; 60

local VOLTAGE, CURRENT, POWER, SYSTEM = 0x0000, 0x000c, 0x0012, 0x0028
local FACTOR, FREQUENCY, IMPORT, PHASES, EXPORT = 0x0032, 0x0037, 0x0042, 0x0046, 0x005c

local function value(regs, address, scale)
	local raw = regs:s32(address, "cdab")
	return raw >> 16 ~= 0x7fff and raw / scale or nil
end

local function phases(name, regs, address, scale)
	return {
		[name .. "_l1"] = value(regs, address, scale),
		[name .. "_l2"] = value(regs, address + 2, scale),
		[name .. "_l3"] = value(regs, address + 4, scale),
	}
end

local function short(regs, address, scale)
	local raw = regs:s16(address)
	return raw ~= 0x7fff and raw / scale or nil
end

local decoders = {
	voltage = function(bytes)
		return phases("voltage", registers(bytes, VOLTAGE), VOLTAGE, 10) -- V, to neutral
	end,
	current = function(bytes)
		return phases("current", registers(bytes, CURRENT), CURRENT, 1000) -- A
	end,
	power = function(bytes)
		return phases("power", registers(bytes, POWER), POWER, 10) -- W, negative: export
	end,
	system = function(bytes)
		return { power = value(registers(bytes, SYSTEM), SYSTEM, 10) } -- W
	end,
	factor = function(bytes)
		local regs = registers(bytes, FACTOR)
		return {
			power_factor_l1 = short(regs, 0x0032, 1000),
			power_factor_l2 = short(regs, 0x0033, 1000),
			power_factor_l3 = short(regs, 0x0034, 1000),
			power_factor = short(regs, 0x0035, 1000),
		}
	end,
	frequency = function(bytes)
		return { frequency = short(registers(bytes, FREQUENCY), FREQUENCY, 10) } -- Hz
	end,
	import = function(bytes)
		return { energy_import = value(registers(bytes, IMPORT), IMPORT, 10) } -- kWh
	end,
	phases = function(bytes)
		return phases("energy_import", registers(bytes, PHASES), PHASES, 10) -- kWh
	end,
	export = function(bytes)
		return { energy_export = value(registers(bytes, EXPORT), EXPORT, 10) } -- kWh
	end,
}

local function polls(device)
	local period = device.parameters.period
	local slow = device.parameters.energy_period
	local function poll(name, seconds, address, count)
		return {
			name = name,
			period = seconds,
			read = "input_registers",
			address = address,
			count = count,
		}
	end
	return {
		poll("voltage", period, VOLTAGE, 6),
		poll("current", period, CURRENT, 6),
		poll("power", period, POWER, 6),
		poll("system", period, SYSTEM, 2),
		poll("factor", period, FACTOR, 4),
		poll("frequency", period, FREQUENCY, 1),
		poll("import", slow, IMPORT, 2),
		poll("phases", slow, PHASES, 6),
		poll("export", slow, EXPORT, 2),
	}
end

return {
	parameters = {
		period = { type = "number", default = 5, min = 0, max = 86400 },
		energy_period = { type = "number", default = 60, min = 0, max = 86400 },
	},
	polls = polls,
	decode = function(reading)
		return { points = decoders[reading.poll](reading.bytes) }
	end,
}
