-- Maker:   Waveshare and others
-- Models:  Waveshare Modbus RTU Relay, 8 channels; other boards if they keep their relays as coils
--          from 0
-- Wire:    Modbus RTU, 9600 baud, 8N1, unit 1 as delivered; of other boards check the device's own
--          setting
-- Source:  public register list of the Waveshare board (nobrega8/mbmap-library, which names
--          Waveshare's wiki: relays 1 to 8 are coils 0 to 7, functions 01, 05 and 0F; 9600 8N1,
--          unit 1) and frames in public programs; that the first coil is the lowest bit is the rule
--          of Modbus itself; not tried on hardware
-- Lacks:   flashing and timed switching, toggling, inputs, the unit's address and baud rate
--
-- Each relay is a point, relay_1 and up, true where it is on; setting one switches it, and the
-- answer says how all of them stand afterwards.
--
-- Parameters:  period  seconds between two readings; 10
--              relays  how many the board has, 1 to 32; 8

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
	local points = {}
	for relay, on in ipairs(bits.list(bytes, count)) do
		points["relay_" .. relay] = on
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
			requests[#requests + 1] = { write = "coils", address = relay - 1, values = { states[relay] } }
		end
	end
	requests[#requests + 1] = { read = "coils", address = 0, count = count }
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
				read = "coils",
				address = 0,
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
