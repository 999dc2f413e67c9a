-- Maker:   eletechsup
-- Models:  R421A08 (8 relays), R421B16 with relays = 16; others if they have the same registers
-- Wire:    Modbus RTU, 9600 baud, 8N1, unit by its switches (the RTU switch must be on)
-- Source:  Erriez/R421A08-rs485-8ch-relay-board and other public programs with the same frames:
--          registers from 0x0001, 0x0100 opens (on), 0x0200 closes (off), read 1 or 0; the data
--          sheet was not seen; not tried on hardware
-- Lacks:   toggling, latching, momentary and delayed switching
--
-- Each relay is a point, relay_1 and up, true where it is on; setting one switches it, and the
-- answer says how all of them stand afterwards.  The maker calls on "open" and off "close".
--
-- Parameters:  period  seconds between two readings; 10
--              relays  how many the board has; 8

local FIRST, ON, OFF = 0x0001, 0x0100, 0x0200

-- The relays that a command names, by their numbers; nil and why not.
local function wanted(command, count)
	if command.method ~= "thing.service.measurepoint.set" then
		return nil, "this device knows thing.service.measurepoint.set only"
	end
	local states, named = {}, 0
	for relay = 1, count do
		local value = command.params["relay_" .. relay]
		if value == true or value == 1 then
			states[relay] = true
		elseif value == false or value == 0 then
			states[relay] = false
		elseif value ~= nil then
			return nil, "relay_" .. relay .. " is true or false, or 1 or 0"
		end
		named = named + (value ~= nil and 1 or 0)
	end
	local given = 0
	for _ in pairs(command.params) do
		given = given + 1
	end
	if given == 0 or given ~= named then
		return nil, "points that can be set are relay_1 to relay_" .. count
	end
	return states
end

local function count_of(device)
	return device.parameters.relays
end

local function states_of(bytes, count)
	local regs, points = registers(bytes, FIRST), {}
	for relay = 1, count do
		points["relay_" .. relay] = regs:u16(FIRST + relay - 1) ~= 0
	end
	return points
end

local function encode(command, device)
	local count = count_of(device)
	local states, why = wanted(command, count)
	if not states then
		return nil, why
	end
	local requests = {}
	for relay = 1, count do
		if states[relay] ~= nil then
			requests[#requests + 1] = {
				write = "holding_registers",
				address = FIRST + relay - 1,
				values = { states[relay] and ON or OFF },
			}
		end
	end
	requests[#requests + 1] = { read = "holding_registers", address = FIRST, count = count }
	return requests
end

local function reply(command, results, device)
	local answer = results[#results]
	if not answer or not answer.ok then
		return nil
	end
	return { data = states_of(answer.bytes, count_of(device)) }
end

return {
	parameters = {
		period = { type = "number", default = 10, min = 0, max = 86400 },
		relays = { type = "integer", default = 8, min = 1, max = 32 },
	},
	polls = function(device)
		return {
			{
				name = "relays",
				period = device.parameters.period,
				read = "holding_registers",
				address = FIRST,
				count = count_of(device),
			},
		}
	end,
	decode = function(reading, device)
		return { points = states_of(reading.bytes, count_of(device)) }
	end,
	encode = encode,
	reply = reply,
}
