-- Maker:   Sungrow
-- Models:  SG string inverters; voltages are between lines where the output is three-wire
-- Wire:    Modbus RTU, often 9600 baud, 8N1, unit 1: check the device's own setting; or Modbus TCP
-- Source:  SunGather and, for power and yield, evcc, which agree; that what a model has not reads
--          65535 is from SunGather's notes; the maker's documents behind them were not seen; not
--          tried on hardware
-- Lacks:   hybrid inverters (SH), the connected meter, alarms, third tracker and above, everything
--          that is written; firmware that gives the frequency in 0.01 Hz
--
-- Grid inverter.  The document numbers input registers from 1; the addresses here are those on
-- the wire, one less.  Integers, of 32 bits with the low word first.  All bits set stand
-- for no value in what has no sign: the point is left out.
--
-- Parameters:  period  seconds between two readings; 10

local OUTPUT, GRID = 5002, 5030

local function u16(regs, address, scale)
	local raw = regs:present("u16", address)
	return raw and raw / scale
end

local function s16(regs, address, scale)
	return regs:s16(address) / scale
end

local function u32(regs, address)
	return regs:present("u32", address, "cdab")
end

local decoders = {
	output = function(bytes)
		local regs = registers(bytes, OUTPUT)
		return {
			energy_yield_day = u16(regs, 5002, 10), -- kWh
			energy_yield = u32(regs, 5003), -- kWh
			running_time = u32(regs, 5005), -- h
			temperature = s16(regs, 5007, 10), -- degrees Celsius, inside
			apparent_power = u32(regs, 5008), -- VA
			pv1_voltage = u16(regs, 5010, 10), -- V
			pv1_current = u16(regs, 5011, 10), -- A
			pv2_voltage = u16(regs, 5012, 10),
			pv2_current = u16(regs, 5013, 10),
			pv_power = u32(regs, 5016), -- W, of the DC side
			voltage_l1 = u16(regs, 5018, 10), -- V
			voltage_l2 = u16(regs, 5019, 10),
			voltage_l3 = u16(regs, 5020, 10),
			current_l1 = s16(regs, 5021, 10), -- A
			current_l2 = s16(regs, 5022, 10),
			current_l3 = s16(regs, 5023, 10),
		}
	end,
	grid = function(bytes)
		local regs = registers(bytes, GRID)
		return {
			power = u32(regs, 5030), -- W
			reactive_power = regs:s32(5032, "cdab"), -- var
			power_factor = s16(regs, 5034, 1000),
			frequency = u16(regs, 5035, 10), -- Hz
			status = regs:u16(5037), -- as the maker's table has it: 0 runs, 0x1400 stands by
		}
	end,
}

local function polls(device)
	local period = device.parameters.period
	return {
		{ name = "output", period = period, read = "input_registers", address = OUTPUT, count = 22 },
		{ name = "grid", period = period, read = "input_registers", address = GRID, count = 8 },
	}
end

return {
	parameters = {
		period = { type = "number", default = 10, min = 0, max = 86400 },
	},
	polls = polls,
	decode = function(reading)
		return { points = decoders[reading.poll](reading.bytes) }
	end,
}
