-- Maker:   Pylontech
-- Models:  US2000, US3000, UP2500 and others of the low-voltage series with that RS-485 protocol
-- Wire:    plugin frame: start = "7e", delimiter = "0d"; 9600 or 115200 baud by the module's
--          switches, 8N1; where one line has several modules: match_offset = 3, match_size = 2 on
--          the bus, and match_text = "02", "03", ... on each device, its address in two digits
-- Source:  Pylontech, "PYLON low voltage Protocol RS485" V3.3 of 2018-08-21, chapters 2, 3.3 and its
--          example in 4; python-pylontech and a program by Martin Steppuhn, which agree, show other
--          answers from the wire; not tried on hardware
-- Lacks:   alarms, limits, serial numbers, everything that is written; high-voltage systems, which
--          have another protocol
--
-- Battery.  The bytes of a frame go over the line as hexadecimal digits, behind them the checksum
-- in four digits.  A wrong one costs the reading.  The current is positive while it charges.
--
-- Parameters:  period   seconds between two readings; 10
--              address  the module's: 2 is the first of its group, and 16 more for each further
--                       group; 2

local VERSION, BATTERY, ANALOG = 0x20, 0x46, 0x42

local RETURN_CODES = {
	[0x01] = "wrong version",
	[0x02] = "wrong checksum",
	[0x03] = "wrong checksum of the length",
	[0x04] = "unknown command",
	[0x05] = "wrong format of the command",
	[0x06] = "wrong data",
	[0x90] = "wrong address",
	[0x91] = "no communication inside of it",
}

-- Four digits that make the sum of all characters 0.
local function checksum(text)
	return string.format("%04X", -crc.sum16(text) & 0xffff)
end

-- Twelve bits of length, in front of them four that make the sum of its digits 0.
local function length_word(length)
	local sum = (length & 15) + (length >> 4 & 15) + (length >> 8 & 15)
	return (-sum & 15) << 12 | length
end

local function request(address)
	local module = string.format("%02X", address)
	local text = string.format("%02X%s%02X%02X%04X%s", VERSION, module, BATTERY, ANALOG,
		length_word(#module), module)
	return "~" .. text .. checksum(text)
end

-- The bytes behind the length, or an error.
local function open(frame, address)
	local text, sum = frame:sub(1, -5), frame:sub(-4)
	if checksum(text) ~= sum then
		error("the checksum is " .. sum .. " and should be " .. checksum(text))
	end
	local bytes = unhex(text)
	local _, module, kind, code, length, at = string.unpack(">BBBBI2", bytes)
	if module ~= address or kind ~= BATTERY then
		error("this is the answer of module " .. module)
	elseif code ~= 0 then
		error("the module says: " .. (RETURN_CODES[code] or "error " .. code))
	elseif length & 0xfff ~= 2 * (#bytes - at + 1) then
		error("the length does not fit")
	end
	return bytes:sub(at)
end

local function celsius(raw)
	return (raw - 2731) / 10
end

-- So many numbers of 16 bits as the byte at that place says; the list, and the place behind it.
local function counted(bytes, at)
	local list, count, number = {}, bytes:byte(at), nil
	at = at + 1
	for i = 1, count do
		number, at = string.unpack(">I2", bytes, at)
		list[i] = number
	end
	return list, at
end

local function decode(reading, device)
	local bytes = open(reading.bytes, device.parameters.address)
	local cells, temperatures, at
	cells, at = counted(bytes, 3) -- behind a flag and the module's number
	temperatures, at = counted(bytes, at)
	local current, voltage, remaining, items, total, cycles, behind =
		string.unpack(">i2I2I2BI2I2", bytes, at)
	if items > 2 then
		remaining, total = string.unpack(">I3I3", bytes, behind) -- too large for 16 bits
	end
	local points = {
		voltage = voltage / 1000, -- V
		current = current / 10, -- A
		power = round(voltage * current / 10000, 1), -- W
		capacity_remaining = remaining / 1000, -- Ah
		capacity = total / 1000,
		soc = total > 0 and round(100 * remaining / total, 1) or nil, -- %
		cycles = cycles,
		temperature_bms = temperatures[1] and celsius(temperatures[1]), -- degrees Celsius
	}
	for i, millivolts in ipairs(cells) do
		points["cell_voltage_" .. i] = millivolts / 1000
	end
	for i = 2, #temperatures do
		points["temperature_" .. i - 1] = celsius(temperatures[i])
	end
	return { points = points }
end

return {
	parameters = {
		period = {
			type = "number",
			default = 10,
			min = 0,
			max = 86400,
			help = "seconds between two readings",
		},
		address = {
			type = "integer",
			default = 2,
			min = 2,
			max = 125,
			help = "address of the module",
		},
	},
	polls = function(device)
		return {
			{
				name = "analog",
				period = device.parameters.period,
				send_text = request(device.parameters.address),
				terminator = "\r",
				expect_text = "~",
			},
		}
	end,
	decode = decode,
}
