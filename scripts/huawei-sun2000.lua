-- Maker:   Huawei
-- Models:  SUN2000 string inverters, with the power meter if there is one
-- Wire:    Modbus RTU, often 9600 baud, 8N1, unit 1: check the device's own setting; or Modbus TCP
--          through SDongle or SmartLogger
-- Source:  wlcrs/huawei-solar-lib, marks of missing values included, and, for power and yield,
--          evcc, which agree; the maker's documents behind them were not seen: Huawei, "Solar
--          Inverter Modbus Interface Definitions"; not tried on hardware
-- Lacks:   batteries, optimizers, strings above the second, alarms, everything that is written
--
-- Grid inverter.  Integers in holding registers, high word first.  All bits set, but for the sign
-- in what has one, stand for no value: the point is left out.  Through an SDongle give the bus
-- timeout_ms = 5000 and a connect_pause_ms of 1000: it is slow.
--
-- Parameters:  period         seconds between two readings of the live values; 10
--              energy_period  the same for yields; 60
--              meter          true where a power meter is connected to the inverter; false

local STRINGS, LIVE, YIELD, DAY, METER = 32016, 32064, 32106, 32114, 37113

local function s16(regs, address, scale)
	local raw = regs:s16(address)
	return raw ~= 0x7fff and raw / scale or nil
end

local function u16(regs, address, scale)
	local raw = regs:present("u16", address)
	return raw and raw / scale
end

local function s32(regs, address, scale)
	local raw = regs:s32(address)
	return raw ~= 0x7fffffff and raw / scale or nil
end

local function u32(regs, address, scale)
	local raw = regs:present("u32", address)
	return raw and raw / scale
end

local decoders = {
	strings = function(bytes)
		local regs = registers(bytes, STRINGS)
		return {
			pv1_voltage = s16(regs, 32016, 10), -- V
			pv1_current = s16(regs, 32017, 100), -- A
			pv2_voltage = s16(regs, 32018, 10),
			pv2_current = s16(regs, 32019, 100),
		}
	end,
	live = function(bytes)
		local regs = registers(bytes, LIVE)
		return {
			pv_power = s32(regs, 32064, 1), -- W, of the DC side
			voltage_l1_l2 = u16(regs, 32066, 10), -- V; of one phase: to neutral
			voltage_l2_l3 = u16(regs, 32067, 10),
			voltage_l3_l1 = u16(regs, 32068, 10),
			voltage_l1 = u16(regs, 32069, 10), -- V, to neutral
			voltage_l2 = u16(regs, 32070, 10),
			voltage_l3 = u16(regs, 32071, 10),
			current_l1 = s32(regs, 32072, 1000), -- A
			current_l2 = s32(regs, 32074, 1000),
			current_l3 = s32(regs, 32076, 1000),
			power = s32(regs, 32080, 1), -- W
			reactive_power = s32(regs, 32082, 1), -- var
			power_factor = s16(regs, 32084, 1000),
			frequency = u16(regs, 32085, 100), -- Hz
			efficiency = u16(regs, 32086, 100), -- %
			temperature = s16(regs, 32087, 10), -- degrees Celsius, inside
			insulation_resistance = u16(regs, 32088, 1000), -- megohms
			status = regs:u16(32089), -- as the maker's table has it: 0x0200 is on grid
			fault_code = regs:u16(32090),
		}
	end,
	yield = function(bytes)
		return { energy_yield = u32(registers(bytes, YIELD), 32106, 100) } -- kWh
	end,
	day = function(bytes)
		return { energy_yield_day = u32(registers(bytes, DAY), 32114, 100) } -- kWh
	end,
	meter = function(bytes)
		local regs = registers(bytes, METER)
		local export = s32(regs, 37119, 100) -- which some inverters give as a negative number
		return {
			grid_power = s32(regs, 37113, 1), -- W, positive: export
			grid_reactive_power = s32(regs, 37115, 1), -- var
			grid_power_factor = s16(regs, 37117, 1000),
			grid_frequency = s16(regs, 37118, 100), -- Hz
			grid_energy_export = export and (export < 0 and -export or export), -- kWh
			grid_energy_import = s32(regs, 37121, 100),
		}
	end,
}

local function polls(device)
	local period = device.parameters.period
	local slow = device.parameters.energy_period
	local list = {}
	local function poll(name, seconds, address, count)
		list[#list + 1] = {
			name = name,
			period = seconds,
			read = "holding_registers",
			address = address,
			count = count,
		}
	end
	poll("strings", period, STRINGS, 4)
	poll("live", period, LIVE, 27)
	poll("yield", slow, YIELD, 2)
	poll("day", slow, DAY, 2)
	if device.parameters.meter then
		poll("meter", period, METER, 10)
	end
	return list
end

return {
	parameters = {
		period = { type = "number", default = 10, min = 0, max = 86400 },
		energy_period = { type = "number", default = 60, min = 0, max = 86400 },
		meter = { type = "boolean", default = false },
	},
	polls = polls,
	decode = function(reading)
		return { points = decoders[reading.poll](reading.bytes) }
	end,
}
