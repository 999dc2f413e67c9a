-- Maker:   Peacefair
-- Models:  PZEM-016, PZEM-014, PZEM-004T V3
-- Wire:    Modbus RTU, often 9600 baud, 8N1, unit 1: check the device's own setting
-- Source:  ESPHome (pzemac), which also shows an answer from the wire, and the table of the
--          maker's manual as jabastien/STM32_PZEM016 quotes it, which agree; not tried on hardware
-- Lacks:   resetting the energy, for which the maker has a function code of its own (0x42); the
--          unit's address
--
-- Single-phase AC meter.  Ten input registers in a row; values of 32 bits have their low word
-- first. The threshold of the power alarm can be set: point alarm_threshold, in W.
--
-- Parameters:  period  seconds between two readings; 5

local LIVE, THRESHOLD = 0x0000, 0x0001 -- of input registers, of holding registers

local function decode(reading)
	local regs = registers(reading.bytes, LIVE)
	return {
		points = {
			voltage = regs:u16(0) / 10, -- V
			current = regs:u32(1, "cdab") / 1000, -- A
			power = regs:u32(3, "cdab") / 10, -- W
			energy_import = regs:u32(5, "cdab") / 1000, -- kWh, from Wh
			frequency = regs:u16(7) / 10, -- Hz
			power_factor = regs:u16(8) / 100,
			alarm = regs:u16(9) == 0xffff, -- the power is above the threshold
		},
	}
end

local function encode(command)
	if command.method ~= "thing.service.measurepoint.set" then
		return nil, "this device knows thing.service.measurepoint.set only"
	end
	for name in pairs(command.params) do
		if name ~= "alarm_threshold" then
			return nil, "only alarm_threshold can be set, not '" .. name .. "'"
		end
	end
	local watts = command.params.alarm_threshold
	if math.type(watts) ~= "integer" or watts < 0 or watts > 23000 then
		return nil, "alarm_threshold is a whole number of W from 0 to 23000"
	end
	return {
		{ write = "holding_registers", address = THRESHOLD, values = { watts } },
		{ read = "holding_registers", address = THRESHOLD, count = 1 },
	}
end

-- What the device says that it holds now.
local function reply(command, results)
	local answer = results[2]
	if not answer or not answer.ok then
		return nil
	end
	return { data = { alarm_threshold = registers(answer.bytes, THRESHOLD):u16(THRESHOLD) } }
end

return {
	parameters = {
		period = { type = "number", default = 5, min = 0, max = 86400 },
	},
	polls = function(device)
		return {
			{
				name = "live",
				period = device.parameters.period,
				read = "input_registers",
				address = LIVE,
				count = 10,
			},
		}
	end,
	decode = decode,
	encode = encode,
	reply = reply,
}
