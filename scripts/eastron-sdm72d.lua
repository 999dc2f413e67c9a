-- Maker:   Eastron
-- Models:  SDM72D-M (first version)
-- Wire:    Modbus RTU, often 9600 baud, 8N1, unit 1: check the device's own setting
-- Source:  SDM_Energy_Meter and, but for directions and resettable counters, mbmd (SDM72), which
--          agree; the maker's documents behind them were not seen; not tried on hardware
-- Lacks:   settings, resetting of counters; voltages and currents, which this version has not
--
-- Three-phase energy meter.  Each parameter is a 32-bit float in two input registers, high word
-- first.  For the second version, which has voltages and currents, take eastron-sdm72d-v2.lua.
--
-- Parameters:  period         seconds between two readings of the power; 5
--              energy_period  the same for energies; 60

local POWER, ENERGY, TOTAL, RESETTABLE, DIRECTION = 0x0034, 0x0048, 0x0156, 0x0184, 0x0500

local decoders = {
	power = function(bytes)
		return { power = registers(bytes, POWER):f32(0x0034) } -- W, of the system
	end,
	direction = function(bytes)
		local regs = registers(bytes, DIRECTION)
		return {
			power_import = regs:f32(0x0500), -- W
			power_export = regs:f32(0x0502),
		}
	end,
	energy = function(bytes)
		local regs = registers(bytes, ENERGY)
		return {
			energy_import = regs:f32(0x0048), -- kWh
			energy_export = regs:f32(0x004a),
		}
	end,
	total = function(bytes)
		return { energy_total = registers(bytes, TOTAL):f32(0x0156) } -- kWh
	end,
	resettable = function(bytes)
		local regs = registers(bytes, RESETTABLE)
		return {
			energy_import_resettable = regs:f32(0x0184), -- kWh
			energy_export_resettable = regs:f32(0x0186),
		}
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
		poll("power", period, POWER, 2),
		poll("direction", period, DIRECTION, 4),
		poll("energy", slow, ENERGY, 4),
		poll("total", slow, TOTAL, 2),
		poll("resettable", slow, RESETTABLE, 4),
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
