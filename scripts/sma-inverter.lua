-- Maker:   SMA
-- Models:  Sunny Boy, Sunny Tripower with the SMA Modbus profile (not the SunSpec profile); not
--          each has all of the registers
-- Wire:    Modbus TCP, port 502, unit 3; to be switched on in the inverter
-- Source:  SMA, "SMA Modbus Interface" (SMA_Modbus-TI-en-28, tables of each inverter;
--          SMA_Modbus-TI-en-15, marks of missing values), as kept with OpenEMS; power and yield
--          also in evcc; not tried on hardware
-- Lacks:   batteries, the energy meter, third DC input and above, everything that is written
--
-- Grid inverter.  Integers in registers, high word first.  0x80000000 (signed), 0xffffffff
-- (unsigned), 0xfffffd in the low 24 bits (condition) and all bits set (64 bits) stand for no
-- value, as at night: the point is left out.
--
-- Parameters:  period         seconds between two readings of the live values; 10
--              energy_period  the same for yields and condition; 60

local CONDITION, YIELD, DC1, AC, FREQUENCY = 30201, 30513, 30769, 30775, 30803
local TEMPERATURE, DC2, CURRENT = 30953, 30957, 30977

-- The number in units, or nil where the inverter marks that it has none.
local function value(regs, type, address, scale)
	local raw = regs:present(type, address)
	return raw and raw / scale
end

local decoders = {
	condition = function(bytes)
		-- 35 fault, 303 off, 307 well, 455 warning
		local raw = registers(bytes, CONDITION):u32(30201) & 0xffffff
		return { condition = raw ~= 0xfffffd and raw or nil }
	end,
	yield = function(bytes)
		local regs = registers(bytes, YIELD)
		return {
			energy_yield = value(regs, "u64", 30513, 1000), -- kWh, from Wh
			energy_yield_day = value(regs, "u64", 30517, 1000),
		}
	end,
	dc1 = function(bytes)
		local regs = registers(bytes, DC1)
		return {
			pv1_current = value(regs, "s32", 30769, 1000), -- A
			pv1_voltage = value(regs, "s32", 30771, 100), -- V
			pv1_power = value(regs, "s32", 30773, 1), -- W
		}
	end,
	dc2 = function(bytes)
		local regs = registers(bytes, DC2)
		return {
			pv2_current = value(regs, "s32", 30957, 1000),
			pv2_voltage = value(regs, "s32", 30959, 100),
			pv2_power = value(regs, "s32", 30961, 1),
		}
	end,
	ac = function(bytes)
		local regs = registers(bytes, AC)
		return {
			power = value(regs, "s32", 30775, 1), -- W
			power_l1 = value(regs, "s32", 30777, 1),
			power_l2 = value(regs, "s32", 30779, 1),
			power_l3 = value(regs, "s32", 30781, 1),
			voltage_l1 = value(regs, "u32", 30783, 100), -- V
			voltage_l2 = value(regs, "u32", 30785, 100),
			voltage_l3 = value(regs, "u32", 30787, 100),
		}
	end,
	frequency = function(bytes)
		return { frequency = value(registers(bytes, FREQUENCY), "u32", 30803, 100) } -- Hz
	end,
	temperature = function(bytes)
		-- degrees Celsius, inside
		return { temperature = value(registers(bytes, TEMPERATURE), "s32", 30953, 10) }
	end,
	current = function(bytes)
		local regs = registers(bytes, CURRENT)
		return {
			current_l1 = value(regs, "s32", 30977, 1000), -- A
			current_l2 = value(regs, "s32", 30979, 1000),
			current_l3 = value(regs, "s32", 30981, 1000),
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
		poll("condition", slow, CONDITION, 2),
		poll("yield", slow, YIELD, 8),
		poll("dc1", period, DC1, 6),
		poll("dc2", period, DC2, 6),
		poll("ac", period, AC, 14),
		poll("frequency", period, FREQUENCY, 2),
		poll("temperature", slow, TEMPERATURE, 2),
		poll("current", period, CURRENT, 6),
	}
end

return {
	parameters = {
		period = { type = "number", default = 10, min = 0, max = 86400 },
		energy_period = { type = "number", default = 60, min = 0, max = 86400 },
	},
	polls = polls,
	decode = function(reading)
		return { points = decoders[reading.poll](reading.bytes) }
	end,
}
