-- Maker:   Eastron
-- Models:  SDM72D-M V2, SDM72D-M-2
-- Wire:    Modbus RTU, often 9600 baud, 8N1, unit 1: check the device's own setting
-- Source:  mbmd (SDM72V2) and SDM_Energy_Meter, which agree; the maker's documents behind them were
--          not seen; not tried on hardware
-- Lacks:   settings, resettable counters, line-to-line voltages, neutral current
--
-- Three-phase energy meter.  Each parameter is a 32-bit float in two input registers, high word
-- first.
--
-- Parameters:  period         seconds between two readings of the live values; 5
--              energy_period  the same for frequency and energies; 60

local LIVE, SYSTEM, ENERGY, TOTAL = 0x0000, 0x0034, 0x0046, 0x0156

-- One point for each of three registers in a row.
local function phases(points, name, regs, address)
	for phase = 1, 3 do
		points[name .. "_l" .. phase] = regs:f32(address + 2 * (phase - 1))
	end
end

local decoders = {
	live = function(bytes)
		local regs, points = registers(bytes, LIVE), {}
		phases(points, "voltage", regs, 0x0000) -- V, to neutral
		phases(points, "current", regs, 0x0006) -- A
		phases(points, "power", regs, 0x000c) -- W, negative: export
		phases(points, "apparent_power", regs, 0x0012) -- VA
		phases(points, "reactive_power", regs, 0x0018) -- var
		phases(points, "power_factor", regs, 0x001e)
		return points
	end,
	system = function(bytes)
		local regs = registers(bytes, SYSTEM)
		return {
			power = regs:f32(0x0034), -- W, of the system
			apparent_power = regs:f32(0x0038), -- VA
			reactive_power = regs:f32(0x003c), -- var
			power_factor = regs:f32(0x003e),
		}
	end,
	energy = function(bytes)
		local regs = registers(bytes, ENERGY)
		return {
			frequency = regs:f32(0x0046), -- Hz
			energy_import = regs:f32(0x0048), -- kWh
			energy_export = regs:f32(0x004a),
		}
	end,
	total = function(bytes)
		local regs = registers(bytes, TOTAL)
		return {
			energy_total = regs:f32(0x0156), -- kWh
			reactive_energy_total = regs:f32(0x0158), -- kvarh
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
		poll("live", period, LIVE, 36),
		poll("system", period, SYSTEM, 12),
		poll("energy", slow, ENERGY, 6),
		poll("total", slow, TOTAL, 4),
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
