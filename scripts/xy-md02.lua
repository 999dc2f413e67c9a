-- Maker:   various (SHT20 sensor with RS-485)
-- Models:  XY-MD02, XY-MD01; SHT20 climate sensors with the same registers
-- Wire:    Modbus RTU, 9600 baud, 8N1, unit 1 as delivered
-- Source:  public notes and shop pages of the module with example frames and settings as delivered;
--          ya-modbus (driver-xymd1) has the same registers, corrections included; no paper of the
--          maker was seen; not tried on hardware
-- Lacks:   the unit's address and baud rate (registers 0x0101 and 0x0102)
--
-- Temperature and humidity, each in tenths in one input register.  Corrections that the sensor
-- adds can be set: points temperature_correction and humidity_correction, from -10 to 10.
--
-- Parameters:  period  seconds between two readings; 10

local LIVE, CORRECTION = 0x0001, 0x0103 -- of input registers, of holding registers
local corrections = { temperature_correction = 0x0103, humidity_correction = 0x0104 }

local function decode(reading)
	local regs = registers(reading.bytes, LIVE)
	return {
		points = {
			temperature = regs:s16(0x0001) / 10, -- degrees Celsius
			humidity = regs:u16(0x0002) / 10, -- %
		},
	}
end

local function encode(command)
	if command.method ~= "thing.service.measurepoint.set" then
		return nil, "this device knows thing.service.measurepoint.set only"
	end
	local requests = {}
	for name, value in pairs(command.params) do
		if not corrections[name] then
			return nil, "only temperature_correction and humidity_correction can be set"
		elseif type(value) ~= "number" or value < -10 or value > 10 then
			return nil, name .. " is a number from -10 to 10"
		end
		requests[#requests + 1] = {
			write = "holding_registers",
			address = corrections[name],
			values = { round(value * 10) },
		}
	end
	sort(requests, function(a, b) return a.address < b.address end)
	requests[#requests + 1] = { read = "holding_registers", address = CORRECTION, count = 2 }
	return requests
end

-- What the sensor says that it holds now.
local function reply(command, results)
	local answer = results[#results]
	if not answer or not answer.ok then
		return nil
	end
	local regs = registers(answer.bytes, CORRECTION)
	return {
		data = {
			temperature_correction = regs:s16(0x0103) / 10,
			humidity_correction = regs:s16(0x0104) / 10,
		},
	}
end

return {
	parameters = {
		period = { type = "number", default = 10, min = 0, max = 86400 },
	},
	polls = function(device)
		return {
			{
				name = "live",
				period = device.parameters.period,
				read = "input_registers",
				address = LIVE,
				count = 2,
			},
		}
	end,
	decode = decode,
	encode = encode,
	reply = reply,
}
