-- Maker:   Chint
-- Models:  DDSU666 (not DDSU666-H, which has another map)
-- Wire:    Modbus RTU, often 9600 baud, 8N1, unit 1: check the device's own setting
-- Source:  Tasmota (xnrg_11_ddsu666), which also shows an answer from the wire and values, and a
--          public description of the DDSU666 in a Modbus to MQTT bridge, which has the same
--          addresses and units, reads them as holding registers, and calls the energy at 4000H the
--          total; the maker's document behind them was not seen; not tried on hardware
-- Lacks:   settings; apparent power, which this model has not
--
-- Single-phase energy meter.  Each value is a 32-bit float in two registers, high word first;
-- they can be read as input registers.
--
-- Parameters:  period         seconds between two readings of the live values; 5
--              energy_period  the same for energies; 60

local LIVE, IMPORT, EXPORT = 0x2000, 0x4000, 0x400a

local decoders = {
	live = function(bytes)
		local regs = registers(bytes, LIVE)
		return {
			voltage = regs:f32(0x2000), -- V
			current = regs:f32(0x2002), -- A
			power = round(regs:f32(0x2004) * 1000, 3), -- W, from kW; negative: export
			reactive_power = round(regs:f32(0x2006) * 1000, 3), -- var, from kvar
			power_factor = regs:f32(0x200a),
			frequency = regs:f32(0x200e), -- Hz
		}
	end,
	import = function(bytes)
		return { energy_import = registers(bytes, IMPORT):f32(0x4000) } -- kWh
	end,
	export = function(bytes)
		return { energy_export = registers(bytes, EXPORT):f32(0x400a) } -- kWh
	end,
}

local function polls(device)
	local period = device.parameters.period
	local slow = device.parameters.energy_period
	return {
		{ name = "live", period = period, read = "input_registers", address = LIVE, count = 16 },
		{ name = "import", period = slow, read = "input_registers", address = IMPORT, count = 2 },
		{ name = "export", period = slow, read = "input_registers", address = EXPORT, count = 2 },
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
