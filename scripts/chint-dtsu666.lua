-- Maker:   Chint
-- Models:  DTSU666, DSSU666 (not DTSU666-H, which has another map)
-- Wire:    Modbus RTU, 9600 baud, 8N1, unit 1 as delivered
-- Source:  mbmd (DTSU666), after Chint, "DTSU666 DSSU666 User Manual"; the list of
--          gerontec/dtsu666 has the same addresses of the live values
-- Lacks:   settings, demand, energies per phase and quadrant; DSSU666 in a three-wire system has
--          no phase voltages
--
-- Three-phase energy meter.  Each value is a 32-bit float in two holding registers, high word
-- first.  What is measured comes as 0.1 V, 0.001 A, 0.1 W, 0.1 var, 0.001, 0.01 Hz and kWh, on
-- the secondary side: with transformers give their ratios.
--
-- Parameters:  period         seconds between two readings of the live values; 5
--              energy_period  the same for energies; 60
--              ct_ratio       ratio of the current transformers, 40 for 200 A / 5 A; 1
--              vt_ratio       ratio of the voltage transformers; 1

local LIVE, FACTOR, FREQUENCY, IMPORT, EXPORT = 0x2000, 0x202a, 0x2044, 0x101e, 0x1028

-- Names of values in a row, and what one unit of them is worth.
local live = {
	{ "voltage_l1_l2", 10, vt = true },
	{ "voltage_l2_l3", 10, vt = true },
	{ "voltage_l3_l1", 10, vt = true },
	{ "voltage_l1", 10, vt = true }, -- V
	{ "voltage_l2", 10, vt = true },
	{ "voltage_l3", 10, vt = true },
	{ "current_l1", 1000, ct = true }, -- A
	{ "current_l2", 1000, ct = true },
	{ "current_l3", 1000, ct = true },
	{ "power", 10, ct = true, vt = true }, -- W, negative: export
	{ "power_l1", 10, ct = true, vt = true },
	{ "power_l2", 10, ct = true, vt = true },
	{ "power_l3", 10, ct = true, vt = true },
	{ "reactive_power", 10, ct = true, vt = true }, -- var
	{ "reactive_power_l1", 10, ct = true, vt = true },
	{ "reactive_power_l2", 10, ct = true, vt = true },
	{ "reactive_power_l3", 10, ct = true, vt = true },
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
	import = { IMPORT, { { "energy_import", 1, ct = true, vt = true } } }, -- kWh
	export = { EXPORT, { { "energy_export", 1, ct = true, vt = true } } },
}

local function decode(reading, device)
	local ct, vt = device.parameters.ct_ratio or 1, device.parameters.vt_ratio or 1
	local first, values = blocks[reading.poll][1], blocks[reading.poll][2]
	local regs, points = registers(reading.bytes, first), {}
	for i, value in ipairs(values) do
		local ratio = (value.ct and ct or 1) * (value.vt and vt or 1)
		points[value[1]] = round(regs:f32(first + 2 * (i - 1)) * ratio / value[2], 6)
	end
	return { points = points }
end

local function polls(device)
	local period = device.parameters.period or 5
	local slow = device.parameters.energy_period or 60
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

return { polls = polls, decode = decode }
