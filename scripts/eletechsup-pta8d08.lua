-- Maker:   eletechsup
-- Models:  PTA8D08 (8 inputs); PTA8C04 (4 inputs) with parameter inputs = 4
-- Wire:    Modbus RTU, 9600 baud, 8N1, unit 1 as delivered
-- Source:  public register lists: of PTA8C04 at lamaplc.com (0 to 3 temperatures, 32 to 35
--          resistances, 9600 8N1, unit 1), of PTA8D08 in two open-source drivers, one of them taken
--          from a board (0 to 7, 32 to 39), both in tenths; no paper of the maker was seen; not
--          tried on hardware
-- Lacks:   corrections, automatic sending, settings
--
-- Board for PT100 resistance thermometers.  An input with nothing connected reads as an ordinary
-- temperature (about 98 degrees on the board that was looked at), so say which inputs are in use.
--
-- Parameters:  period     seconds between two readings; 10
--              inputs     how many inputs the board has; 8
--              connected  numbers of the inputs in use, [ 1, 2, 5 ]; all

local TEMPERATURE, RESISTANCE = 0, 32

local function connected(device)
	local list = device.parameters.connected
	if list then
		return list
	end
	local all = {}
	for input = 1, device.parameters.inputs do
		all[input] = input
	end
	return all
end

local function decode(reading, device)
	local points = {}
	local temperature = reading.poll == "temperature"
	local first = temperature and TEMPERATURE or RESISTANCE
	local regs = registers(reading.bytes, first)
	for _, input in ipairs(connected(device)) do
		if temperature then
			points["temperature_" .. input] = regs:s16(first + input - 1) / 10 -- degrees Celsius
		else
			points["resistance_" .. input] = regs:u16(first + input - 1) / 10 -- ohms
		end
	end
	return { points = points }
end

return {
	parameters = {
		period = { type = "number", default = 10, min = 0, max = 86400 },
		inputs = { type = "integer", default = 8, min = 1, max = 8 },
		connected = { type = "list", items = "integer", min = 1, max = 8, optional = true },
	},
	polls = function(device)
		local period, inputs = device.parameters.period, device.parameters.inputs
		return {
			{
				name = "temperature",
				period = period,
				read = "holding_registers",
				address = TEMPERATURE,
				count = inputs,
			},
			{
				name = "resistance",
				period = period,
				read = "holding_registers",
				address = RESISTANCE,
				count = inputs,
			},
		}
	end,
	decode = decode,
}
