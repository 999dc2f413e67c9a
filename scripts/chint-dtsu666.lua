-- Maker:   Chint
-- Models:  DTSU666 (not DTSU666-H, which has another map)
-- Wire:    Modbus RTU, often 9600 baud, 8N1, unit 1: check the device's own setting
-- Source:  mbmd (DTSU666), which names Chint, "DTSU666 DSSU666 User Manual" (not seen); the list of
--          gerontec/dtsu666 has the same addresses of the live values; not tried on hardware
-- Lacks:   settings, demand, energies per phase and quadrant; ratios of transformers
--
-- Three-phase energy meter.  Each value is a 32-bit float in two holding registers, high word
-- first.  What is measured comes as 0.1 V, 0.001 A, 0.1 W, 0.1 var, 0.001, 0.01 Hz and kWh.  Users
-- report that with current transformers it comes as on their secondary side; which values that
-- concerns is not known here: compare with the display.
--
-- Parameters:  period         seconds between two readings of the live values; 5
--              energy_period  the same for energies; 60

local LIVE, FACTOR, FREQUENCY, IMPORT, EXPORT = 0x2000, 0x202a, 0x2044, 0x101e, 0x1028

-- Names of values in a row, and what one unit of them is worth.
local live = {
	{ "voltage_l1_l2", 10 },
	{ "voltage_l2_l3", 10 },
	{ "voltage_l3_l1", 10 },
	{ "voltage_l1", 10 }, -- V
	{ "voltage_l2", 10 },
	{ "voltage_l3", 10 },
	{ "current_l1", 1000 }, -- A
	{ "current_l2", 1000 },
	{ "current_l3", 1000 },
	{ "power", 10 }, -- W, negative: export
	{ "power_l1", 10 },
	{ "power_l2", 10 },
	{ "power_l3", 10 },
	{ "reactive_power", 10 }, -- var
	{ "reactive_power_l1", 10 },
	{ "reactive_power_l2", 10 },
	{ "reactive_power_l3", 10 },
}
local factor = {
	{ "power_factor", 1000 },
	{ "power_factor_l1", 1000 },
	{ "power_factor_l2", 1000 },
	{ "power_factor_l3", 1000 },
}

local blocks = {
	live = { LIVE, live },
	factor = { FACTOR, factor },
	frequency = { FREQUENCY, { { "frequency", 100 } } }, -- Hz
	import = { IMPORT, { { "energy_import", 1 } } }, -- kWh
	export = { EXPORT, { { "energy_export", 1 } } },
}

local function decode(reading)
	local first, values = blocks[reading.poll][1], blocks[reading.poll][2]
	local regs, points = registers(reading.bytes, first), {}
	for i, value in ipairs(values) do
		points[value[1]] = round(regs:f32(first + 2 * (i - 1)) / value[2], 6)
	end
	return { points = points }
end

local function polls(device)
	local period = device.parameters.period
	local slow = device.parameters.energy_period
	local function poll(name, seconds)
		local first, values = blocks[name][1], blocks[name][2]
		return {
			name = name,
			period = seconds,
			read = "holding_registers",
			address = first,
			count = 2 * #values,
		}
	end
	return {
		poll("live", period),
		poll("factor", period),
		poll("frequency", slow),
		poll("import", slow),
		poll("export", slow),
	}
end

return {
	parameters = {
		period = { type = "number", default = 5, min = 0, max = 86400 },
		energy_period = { type = "number", default = 60, min = 0, max = 86400 },
	},
	polls = polls,
	decode = decode,
}
