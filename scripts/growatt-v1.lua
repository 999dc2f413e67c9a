-- Maker:   Growatt
-- Models:  string inverters with registers 0 to 32 of the first protocol (RTU in ESPHome)
-- Wire:    Modbus RTU, often 9600 baud, 8N1, unit 1: check the device's own setting
-- Source:  ESPHome (growatt_solar, protocol RTU) and Ardexa's plugin for Growatt, which names
--          "Growatt PV Inverter Modbus RS485 RTU Protocol" and has the same registers, but for the
--          power of each phase; the maker's document behind them was not seen; not tried on
--          hardware
-- Lacks:   storage, faults, everything that is written
--
-- Grid inverter.  Integers in input registers, of 32 bits with the high word first.  Newer models
-- use protocol II: take growatt-v2.lua.
--
-- Parameters:  period  seconds between two readings; 10

local PV, GRID, TEMPERATURE = 0, 11, 32

local function phases(points, name, regs, address, scale, method)
	for phase = 1, 3 do
		points[name .. "_l" .. phase] = regs[method](regs, address + 4 * (phase - 1)) / scale
	end
end

local decoders = {
	pv = function(bytes)
		local regs = registers(bytes, PV)
		return {
			status = regs:u16(0), -- 0 waits, 1 runs, 3 fault
			pv_power = regs:u32(1) / 10, -- W
			pv1_voltage = regs:u16(3) / 10, -- V
			pv1_current = regs:u16(4) / 10, -- A
			pv1_power = regs:u32(5) / 10,
			pv2_voltage = regs:u16(7) / 10,
			pv2_current = regs:u16(8) / 10,
			pv2_power = regs:u32(9) / 10,
		}
	end,
	grid = function(bytes)
		local regs, points = registers(bytes, GRID), {}
		points.power = regs:s32(11) / 10 -- W
		points.frequency = regs:u16(13) / 100 -- Hz
		phases(points, "voltage", regs, 14, 10, "u16") -- V
		phases(points, "current", regs, 15, 10, "u16") -- A
		phases(points, "power", regs, 16, 10, "s32") -- W
		points.energy_yield_day = regs:u32(26) / 10 -- kWh
		points.energy_yield = regs:u32(28) / 10
		return points
	end,
	temperature = function(bytes)
		return { temperature = registers(bytes, TEMPERATURE):s16(32) / 10 } -- degrees Celsius
	end,
}

local function polls(device)
	local period = device.parameters.period
	return {
		{ name = "pv", period = period, read = "input_registers", address = PV, count = 11 },
		{ name = "grid", period = period, read = "input_registers", address = GRID, count = 19 },
		{
			name = "temperature",
			period = period,
			read = "input_registers",
			address = TEMPERATURE,
			count = 1,
		},
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
