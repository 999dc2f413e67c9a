-- Maker:   ABB
-- Models:  B23, B24 (and B21, which has one phase)
-- Wire:    Modbus RTU, often 19200 baud, 8E1, unit 1: check the device's own setting
-- Source:  mbmd (ABB) and Victron's dbus-modbus-client (abb), which agree, marks of missing values
--          included; the maker's documents behind them were not seen: ABB, "B23/B24 User Manual";
--          not tried on hardware
-- Lacks:   energies per phase and tariff, harmonics, inputs and outputs, resettable counters,
--          settings
--
-- Energy meter.  Integers with a resolution of their own, high word first, in holding registers.
-- All bits set, but for the sign in what has one, say that the meter has no such value: the point
-- is left out.
--
-- Parameters:  period         seconds between two readings of the live values; 5
--              energy_period  the same for energies; 60

local LIVE, FACTOR, ENERGY = 0x5b00, 0x5b3a, 0x5000

local function u32(regs, address, scale)
	local raw = regs:present("u32", address)
	return raw and raw / scale
end

local function s32(regs, address, scale)
	local raw = regs:s32(address)
	return raw ~= 0x7fffffff and raw / scale or nil
end

local function s16(regs, address, scale)
	local raw = regs:s16(address)
	return raw ~= 0x7fff and raw / scale or nil
end

local function u64(regs, address, scale)
	local raw = regs:present("u64", address)
	return raw and raw / scale
end

local decoders = {
	live = function(bytes)
		local regs = registers(bytes, LIVE)
		local frequency = regs:present("u16", 0x5b2c)
		return {
			voltage_l1 = u32(regs, 0x5b00, 10), -- V, to neutral
			voltage_l2 = u32(regs, 0x5b02, 10),
			voltage_l3 = u32(regs, 0x5b04, 10),
			current_l1 = u32(regs, 0x5b0c, 100), -- A
			current_l2 = u32(regs, 0x5b0e, 100),
			current_l3 = u32(regs, 0x5b10, 100),
			power = s32(regs, 0x5b14, 100), -- W, negative: export
			power_l1 = s32(regs, 0x5b16, 100),
			power_l2 = s32(regs, 0x5b18, 100),
			power_l3 = s32(regs, 0x5b1a, 100),
			frequency = frequency and frequency / 100, -- Hz
		}
	end,
	factor = function(bytes)
		local regs = registers(bytes, FACTOR)
		return {
			power_factor = s16(regs, 0x5b3a, 1000),
			power_factor_l1 = s16(regs, 0x5b3b, 1000),
			power_factor_l2 = s16(regs, 0x5b3c, 1000),
			power_factor_l3 = s16(regs, 0x5b3d, 1000),
		}
	end,
	energy = function(bytes)
		local regs = registers(bytes, ENERGY)
		return {
			energy_import = u64(regs, 0x5000, 100), -- kWh
			energy_export = u64(regs, 0x5004, 100),
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
		poll("live", period, LIVE, 45),
		poll("factor", period, FACTOR, 4),
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
