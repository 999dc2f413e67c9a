-- Maker:   Schneider Electric
-- Models:  PM5100 series; others of the PM5000 family if they have the same registers
-- Wire:    Modbus RTU, often 19200 baud, 8E1, unit 1: check the device's own setting; or Modbus TCP
-- Source:  SolarNetwork's driver for the PM5100; a program for the PM5110 that names Schneider
--          Electric's "PM51xx_PM53xx_PMC Register List" has the same registers, but for the
--          energies; the list itself was not seen; not tried on hardware
-- Lacks:   power factor (in the maker's four-quadrant coding), reactive and apparent energies,
--          harmonics, demand, alarms, settings
--
-- Three-phase meter.  The manual numbers holding registers from 1; the addresses here are those
-- on the wire, one less.  Values are 32-bit floats, NaN for what the meter or its wiring has not:
-- such a point is left out.  The blocks hold only registers that the list has.  Energies are
-- 64-bit integers in Wh.
--
-- Parameters:  period         seconds between two readings of the live values; 5
--              energy_period  the same for energies; 60

local CURRENT, LINE, VOLTAGE, POWER = 2999, 3019, 3027, 3053
local REACTIVE, APPARENT, FREQUENCY, ENERGY = 3067, 3075, 3109, 3203

-- kW and its like as W and its like.
local function kilo(value)
	return value and round(value * 1000, 3)
end

local decoders = {
	current = function(bytes)
		local regs = registers(bytes, CURRENT)
		return {
			current_l1 = regs:present("f32", 2999), -- A
			current_l2 = regs:present("f32", 3001),
			current_l3 = regs:present("f32", 3003),
		}
	end,
	line_voltage = function(bytes)
		local regs = registers(bytes, LINE)
		return {
			voltage_l1_l2 = regs:present("f32", 3019), -- V
			voltage_l2_l3 = regs:present("f32", 3021),
			voltage_l3_l1 = regs:present("f32", 3023),
		}
	end,
	voltage = function(bytes)
		local regs = registers(bytes, VOLTAGE)
		return {
			voltage_l1 = regs:present("f32", 3027), -- V, to neutral
			voltage_l2 = regs:present("f32", 3029),
			voltage_l3 = regs:present("f32", 3031),
		}
	end,
	power = function(bytes)
		local regs = registers(bytes, POWER)
		return {
			power_l1 = kilo(regs:present("f32", 3053)), -- W
			power_l2 = kilo(regs:present("f32", 3055)),
			power_l3 = kilo(regs:present("f32", 3057)),
			power = kilo(regs:present("f32", 3059)),
		}
	end,
	reactive = function(bytes)
		return { reactive_power = kilo(registers(bytes, REACTIVE):present("f32", 3067)) } -- var
	end,
	apparent = function(bytes)
		return { apparent_power = kilo(registers(bytes, APPARENT):present("f32", 3075)) } -- VA
	end,
	frequency = function(bytes)
		return { frequency = registers(bytes, FREQUENCY):present("f32", 3109) } -- Hz
	end,
	energy = function(bytes)
		local regs = registers(bytes, ENERGY)
		return {
			energy_import = regs:s64(3203) / 1000, -- kWh
			energy_export = regs:s64(3207) / 1000,
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
		poll("current", period, CURRENT, 6),
		poll("line_voltage", period, LINE, 6),
		poll("voltage", period, VOLTAGE, 6),
		poll("power", period, POWER, 8),
		poll("reactive", period, REACTIVE, 2),
		poll("apparent", period, APPARENT, 2),
		poll("frequency", slow, FREQUENCY, 2),
		poll("energy", slow, ENERGY, 8),
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
