-- The example of the EnOS documentation ("Parsing Custom Format Data") as a script: what its
-- JavaScript functions rawDataToJsonStr and jsonStrToRawData do in the cloud is done here.
--
-- Up, a message that the device has ready:
--     type 1, id (4 bytes), then for each point: number (1), length (2), value
-- Down, setting points; an integer, a double and one with quality have no length:
--     type 2, id (4 bytes), then for each point: number (1), length (2) of text and array, value
--     answer: type 2, id (4), code (2)
-- Down, calling service1:
--     type 0x11, id (4), input_int (4)
--     answer: type 0x11, id (4), code (1), output_int (4)
-- All numbers are big-endian.
--
-- The example leaves open how its bytes travel.  Here they lie in holding registers, filled up
-- with zeros.  Parameters:
--     up       first register of the message from the device; 0
--     count    its registers; 40
--     period   seconds between two readings; 10
--     down     first register of the message to the device; 100
--     answer   first register of its answer; 200

local POST, SET, SERVICE1 = 0x01, 0x02, 0x11

local function array(bytes)
	local list = {}
	for at = 1, #bytes, 4 do
		list[#list + 1] = string.unpack(">i4", bytes, at)
	end
	return list
end

local points = {
	{
		name = "mp_int",
		decode = function(bytes) return (string.unpack(">i4", bytes)) end,
		encode = function(value) return string.pack(">i4", value) end,
	},
	{
		name = "mp_string",
		decode = function(bytes) return bytes end,
		encode = function(value) return string.pack(">s2", value) end,
	},
	{
		name = "mp_double",
		decode = function(bytes) return (string.unpack(">d", bytes)) end,
		encode = function(value) return string.pack(">d", value) end,
	},
	{
		name = "mp_array",
		decode = array,
		encode = function(value)
			local bytes = ""
			for _, item in ipairs(value) do
				bytes = bytes .. string.pack(">i4", item)
			end
			return string.pack(">s2", bytes)
		end,
	},
	{
		name = "mp_int_quality",
		decode = function(bytes)
			local value, quality = string.unpack(">i4B", bytes)
			return { value = value, quality = quality }
		end,
		encode = function(value) return string.pack(">i4B", value.value, value.quality) end,
	},
}

local function decode(reading)
	local kind, _, at = string.unpack(">BI4", reading.bytes)
	if kind ~= POST then
		return nil
	end
	local values = {}
	while at <= #reading.bytes and reading.bytes:byte(at) ~= 0 do
		local number, bytes
		number, bytes, at = string.unpack(">Bs2", reading.bytes, at)
		local point = points[number]
		if not point then
			error("there is no point number " .. number)
		end
		values[point.name] = point.decode(bytes)
	end
	return { points = values }
end

-- Writes a message and reads the answer back.
local function exchange(device, message, size)
	if #message % 2 == 1 then
		message = message .. "\0"
	end
	return {
		{ write = "holding_registers", address = device.parameters.down, bytes = message },
		{
			read = "holding_registers",
			address = device.parameters.answer,
			count = (size + 1) // 2,
		},
	}
end

local function encode_set(command, device)
	local message, unknown = string.pack(">BI4", SET, tonumber(command.id)), {}
	for name in pairs(command.params) do
		unknown[name] = true
	end
	for number, point in ipairs(points) do
		local value = command.params[point.name]
		if value ~= nil then
			message = message .. string.char(number) .. point.encode(value)
			unknown[point.name] = nil
		end
	end
	if next(unknown) then
		return nil, "there is no point '" .. next(unknown) .. "'"
	end
	return exchange(device, message, 7)
end

local function encode(command, device)
	if command.raw or not tonumber(command.id) then
		return nil, "a command with a number for its id is needed"
	elseif command.method == "thing.service.measurepoint.set" then
		return encode_set(command, device)
	elseif command.method == "thing.service.service1" then
		local id, input = tonumber(command.id), command.params.input_int
		return exchange(device, string.pack(">BI4i4", SERVICE1, id, input), 10)
	end
	return nil, "there is no service '" .. command.method .. "'"
end

local function reply(command, results)
	local answer = results[2]
	if not answer or not answer.ok then
		return nil
	end
	local kind, id, at = string.unpack(">BI4", answer.bytes)
	if id ~= tonumber(command.id) then
		return { code = 500, data = { reason = "the device answered another command" } }
	elseif kind == SERVICE1 then
		local code, output = string.unpack(">Bi4", answer.bytes, at)
		return { code = code, data = { output_int = output } }
	end
	return { code = (string.unpack(">I2", answer.bytes, at)) }
end

return {
	parameters = {
		period = { type = "number", default = 10, min = 0, max = 86400 },
		up = { type = "integer", default = 0, min = 0, max = 65535 },
		count = { type = "integer", default = 40, min = 1, max = 125 },
		down = { type = "integer", default = 100, min = 0, max = 65535 },
		answer = { type = "integer", default = 200, min = 0, max = 65535 },
	},
	polls = function(device)
		return {
			{
				name = "message",
				period = device.parameters.period,
				read = "holding_registers",
				address = device.parameters.up,
				count = device.parameters.count,
			},
		}
	end,
	decode = decode,
	encode = encode,
	reply = reply,
}
