-- Maker:   Carlo Gavazzi
-- Models:  EM330, EM340, ET330, ET340; EM24 with Ethernet (EM24DINAV23XE1..., EM24DINAV53XE1...)
-- Wire:    Modbus RTU, often 9600 baud, 8N1, unit 1: check the device's own setting; EM24 E1:
--          Modbus TCP
-- Source:  mbmd (CGEX3X0, CGEM24_E1) and, for the EM24, Victron's dbus-modbus-client, which agree;
--          apparent and reactive power from OpenEMS (EM300), not seen for the EM24; mbmd names
--          Carlo Gavazzi's communication protocol of EM330, EM340, ET330, ET340, which was not
--          seen; not tried on hardware
-- Lacks:   demands, tariffs, settings
--
-- Three-phase energy analyser.  Integers in input registers, of 32 bits with the low word first.
-- How these meters mark a value beyond what they can measure is not known here.
--
-- Parameters:  period         seconds between two readings of the live values; 5
--              energy_period  the same for energies; 60

local VOLTAGE, CURRENT, POWER, SYSTEM = 0x0000, 0x000c, 0x0012, 0x0028
local FACTOR, IMPORT, PHASES, EXPORT = 0x002e, 0x0034, 0x0040, 0x004e

local function value(regs, address, scale)
	return regs:s32(address, "cdab") / scale
end

local function phases(name, regs, address, scale)
	return {
		[name .. "_l1"] = value(regs, address, scale),
		[name .. "_l2"] = value(regs, address + 2, scale),
		[name .. "_l3"] = value(regs, address + 4, scale),
	}
end

local function short(regs, address, scale)
	return regs:s16(address) / scale
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
		local regs = registers(bytes, SYSTEM)
		return {
			power = value(regs, 0x0028, 10), -- W
			apparent_power = value(regs, 0x002a, 10), -- VA
			reactive_power = value(regs, 0x002c, 10), -- var
		}
	end,
	factor = function(bytes)
		local regs = registers(bytes, FACTOR)
		return {
			power_factor_l1 = short(regs, 0x002e, 1000),
			power_factor_l2 = short(regs, 0x002f, 1000),
			power_factor_l3 = short(regs, 0x0030, 1000),
			power_factor = short(regs, 0x0031, 1000),
			frequency = short(regs, 0x0033, 10), -- Hz
		}
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
		poll("system", period, SYSTEM, 6),
		poll("factor", period, FACTOR, 6),
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
