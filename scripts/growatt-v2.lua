-- Maker:   Growatt
-- Models:  string inverters with protocol II, as MIN TL-XE (RTU2 in ESPHome)
-- Wire:    Modbus RTU, often 9600 baud, 8N1, unit 1: check the device's own setting
-- Source:  ESPHome (growatt_solar, protocol RTU2); evcc (growatt-min-tlxe) for power and yield,
--          and a device list of MIC TL-X (com.sortedbits.blauhoff) for trackers, power, voltage
--          and yields, agree with it; the maker's documents behind them were not seen; not tried
--          on hardware
-- Lacks:   storage, third tracker and above, faults, everything that is written
--
-- Grid inverter.  Integers in input registers, of 32 bits with the high word first.  Older models
-- use protocol V3: take growatt-v1.lua.
--
-- Parameters:  period  seconds between two readings; 10

local PV, GRID, TEMPERATURE = 0, 35, 93

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
		points.power = regs:s32(35) / 10 -- W
		points.frequency = regs:u16(37) / 100 -- Hz
		phases(points, "voltage", regs, 38, 10, "u16") -- V
		phases(points, "current", regs, 39, 10, "u16") -- A
		phases(points, "power", regs, 40, 10, "s32") -- W
		points.energy_yield_day = regs:u32(53) / 10 -- kWh
		points.energy_yield = regs:u32(55) / 10
		return points
	end,
	temperature = function(bytes)
		return { temperature = registers(bytes, TEMPERATURE):s16(93) / 10 } -- degrees Celsius
	end,
}

local function polls(device)
	local period = device.parameters.period
	return {
		{ name = "pv", period = period, read = "input_registers", address = PV, count = 11 },
		{ name = "grid", period = period, read = "input_registers", address = GRID, count = 22 },
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
