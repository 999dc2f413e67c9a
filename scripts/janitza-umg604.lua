-- Maker:   Janitza
-- Models:  UMG 604; B series (B23), as mbmd has it; others of the maker if they have the same
--          section
-- Wire:    Modbus RTU, baud rate and unit as set at the meter; UMG 604 also Modbus TCP
-- Source:  public profiles of the UMG 604, one of them said to be checked at the device, and mbmd
--          (JANITZA), which agree; Janitza's address lists were not seen; not tried on hardware
-- Lacks:   harmonics, events, inputs and outputs, settings, everything outside of that section
--
-- Power analyser.  Each value is a 32-bit float in two holding registers, high word first.
--
-- Parameters:  period         seconds between two readings of the live values; 5
--              energy_period  the same for energies; 60

local LIVE, ENERGY = 19000, 19062

local function phases(points, name, regs, address)
	for phase = 1, 3 do
		points[name .. "_l" .. phase] = regs:f32(address + 2 * (phase - 1))
	end
end

local decoders = {
	live = function(bytes)
		local regs, points = registers(bytes, LIVE), {}
		phases(points, "voltage", regs, 19000) -- V, to neutral
		phases(points, "current", regs, 19012) -- A
		phases(points, "power", regs, 19020) -- W, negative: export
		points.power = regs:f32(19026)
		phases(points, "power_factor", regs, 19044)
		points.frequency = regs:f32(19050) -- Hz
		return points
	end,
	energy = function(bytes)
		local regs = registers(bytes, ENERGY)
		return {
			energy_import = round(regs:f32(19068) / 1000, 6), -- kWh, from Wh
			energy_export = round(regs:f32(19076) / 1000, 6),
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
			read = "holding_registers",
			address = address,
			count = count,
		}
	end
	return {
		poll("live", period, LIVE, 52),
		poll("energy", slow, ENERGY, 16),
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
