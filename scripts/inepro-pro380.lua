-- Maker:   Inepro Metering
-- Models:  PRO380-Mod, PRO380-MB
-- Wire:    Modbus RTU, often 9600 baud, 8E1, unit 1: check the device's own setting
-- Source:  mbmd (INEPRO) and nymea (inepro), which agree; the maker's documents behind them were
--          not seen; not tried on hardware
-- Lacks:   energies per phase and tariff, settings
--
-- Three-phase energy meter.  Each value is a 32-bit float in two holding registers, high word
-- first.
--
-- Parameters:  period         seconds between two readings of the live values; 5
--              energy_period  the same for energies; 60

local LIVE, IMPORT, EXPORT = 0x5000, 0x600c, 0x6018

local function phases(points, name, regs, address, factor)
	for phase = 1, 3 do
		points[name .. "_l" .. phase] = round(regs:f32(address + 2 * (phase - 1)) * factor, 6)
	end
end

local decoders = {
	live = function(bytes)
		local regs, points = registers(bytes, LIVE), {}
		phases(points, "voltage", regs, 0x5002, 1) -- V, to neutral
		points.frequency = regs:f32(0x5008) -- Hz
		phases(points, "current", regs, 0x500c, 1) -- A
		points.power = round(regs:f32(0x5012) * 1000, 3) -- W, from kW; negative: export
		phases(points, "power", regs, 0x5014, 1000)
		points.reactive_power = round(regs:f32(0x501a) * 1000, 3) -- var
		points.apparent_power = round(regs:f32(0x5022) * 1000, 3) -- VA
		points.power_factor = regs:f32(0x502a)
		return points
	end,
	import = function(bytes)
		return { energy_import = registers(bytes, IMPORT):f32(0x600c) } -- kWh
	end,
	export = function(bytes)
		return { energy_export = registers(bytes, EXPORT):f32(0x6018) } -- kWh
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
		poll("live", period, LIVE, 50),
		poll("import", slow, IMPORT, 2),
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
