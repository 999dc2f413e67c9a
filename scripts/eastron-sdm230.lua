-- Maker:   Eastron
-- Models:  SDM230-Modbus, SDM220-Modbus
-- Wire:    Modbus RTU, often 2400 or 9600 baud, 8N1; check the device's own setting
-- Source:  mbmd (SDM220, SDM230) and SDM_Energy_Meter, which agree; the maker's documents behind
--          them were not seen; not tried on hardware
-- Lacks:   demands, settings, resetting of counters
--
-- Single-phase energy meter.  Each parameter is a 32-bit float in two input registers, high word
-- first.  Registers between the listed ones belong to the other phases of the larger meters of
-- the maker and read as zero; one request may ask for 40 parameters.
--
-- Parameters:  period         seconds between two readings of the live values; 5
--              energy_period  the same for frequency and energies; 60

local LIVE, ENERGY, TOTAL = 0x0000, 0x0046, 0x0156

local decoders = {
	live = function(bytes)
		local regs = registers(bytes, LIVE)
		return {
			voltage = regs:f32(0x0000), -- V
			current = regs:f32(0x0006), -- A
			power = regs:f32(0x000c), -- W, negative: export
			apparent_power = regs:f32(0x0012), -- VA
			reactive_power = regs:f32(0x0018), -- var
			power_factor = regs:f32(0x001e),
			phase_angle = regs:f32(0x0024), -- degrees
		}
	end,
	energy = function(bytes)
		local regs = registers(bytes, ENERGY)
		return {
			frequency = regs:f32(0x0046), -- Hz
			energy_import = regs:f32(0x0048), -- kWh
			energy_export = regs:f32(0x004a),
			reactive_energy_import = regs:f32(0x004c), -- kvarh
			reactive_energy_export = regs:f32(0x004e),
		}
	end,
	total = function(bytes)
		local regs = registers(bytes, TOTAL)
		return {
			energy_total = regs:f32(0x0156), -- kWh, import and export
			reactive_energy_total = regs:f32(0x0158), -- kvarh
		}
	end,
}

local function polls(device)
	local period = device.parameters.period
	local slow = device.parameters.energy_period
	return {
		{ name = "live", period = period, read = "input_registers", address = LIVE, count = 38 },
		{ name = "energy", period = slow, read = "input_registers", address = ENERGY, count = 10 },
		{ name = "total", period = slow, read = "input_registers", address = TOTAL, count = 4 },
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
