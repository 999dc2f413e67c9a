-- Maker:   Eastron
-- Models:  SDM630-Modbus (V2, MID and the like)
-- Wire:    Modbus RTU, often 9600 baud, 8N1, unit 1: check the device's own setting
-- Source:  mbmd (SDM) and SDM_Energy_Meter, which agree; the maker's documents behind them were not
--          seen; not tried on hardware
-- Lacks:   reactive and apparent power, power factors, demands, harmonics, settings
--
-- Three-phase energy meter.  Each parameter is a 32-bit float in two input registers, high word
-- first.  The blocks hold only registers that the table lists, and are far below 30 parameters,
-- the most that one request may ask for.
--
-- Parameters:  period         seconds between two readings of voltages, currents, powers; 5
--              energy_period  the same for frequency and energies; 60

local LIVE, POWER, ENERGY = 0x0000, 0x0034, 0x0046

local function polls(device)
	local period = device.parameters.period
	return {
		{ name = "live", period = period, read = "input_registers", address = LIVE, count = 18 },
		{ name = "power", period = period, read = "input_registers", address = POWER, count = 2 },
		{
			name = "energy",
			period = device.parameters.energy_period,
			read = "input_registers",
			address = ENERGY,
			count = 6,
		},
	}
end

local decoders = {
	live = function(bytes)
		local regs = registers(bytes, LIVE)
		return {
			voltage_l1 = regs:f32(0x00), -- V, to neutral
			voltage_l2 = regs:f32(0x02),
			voltage_l3 = regs:f32(0x04),
			current_l1 = regs:f32(0x06), -- A
			current_l2 = regs:f32(0x08),
			current_l3 = regs:f32(0x0a),
			power_l1 = regs:f32(0x0c), -- W
			power_l2 = regs:f32(0x0e),
			power_l3 = regs:f32(0x10),
		}
	end,
	power = function(bytes)
		return { power = registers(bytes, POWER):f32(0x34) } -- W, of the system
	end,
	energy = function(bytes)
		local regs = registers(bytes, ENERGY)
		return {
			frequency = regs:f32(0x46), -- Hz
			energy_import = regs:f32(0x48), -- kWh
			energy_export = regs:f32(0x4a),
		}
	end,
}

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
