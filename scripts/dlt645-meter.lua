-- Maker:   various (Chinese national standard)
-- Models:  electricity meters with DL/T 645-2007, of one and of three phases
-- Wire:    plugin dlt645 on RS-485, often 2400 baud, 8E1: check the device's own setting; the
--          address is on the meter's plate
-- Source:  bobyuxinyang/dlt645_2007, which has identifiers, lengths and decimals of all of them and
--          the sign; another public program has the lengths of the blocks; the text of DL/T
--          645-2007 was not seen; not tried on hardware
-- Lacks:   demands, tariffs, events, load records, relays, clocks, everything that is written
--
-- Values are packed decimal digits, the lowest byte first.  Of currents and powers the highest
-- bit is the sign.  What is missing, or FF and so no digits, has no point.
--
-- Parameters:  period         seconds between two readings of the live values; 10
--              energy_period  the same for energies and frequency; 60

-- The number in size bytes from place at, or nil.  What has a sign has it in the highest bit.
local function number(bytes, at, size, decimals, signed)
	local part = bytes:sub(at, at + size - 1):reverse()
	if #part < size or part:byte(1) == 0xff then
		return nil
	end
	local sign = 1
	if signed and part:byte(1) >= 0x80 then
		sign = -1
		part = string.char(part:byte(1) & 0x7f) .. part:sub(2)
	end
	return sign * bcd(part) / 10 ^ decimals
end

local decoders = {
	voltage = function(bytes)
		return {
			voltage_l1 = number(bytes, 1, 2, 1), -- V
			voltage_l2 = number(bytes, 3, 2, 1),
			voltage_l3 = number(bytes, 5, 2, 1),
		}
	end,
	current = function(bytes)
		return {
			current_l1 = number(bytes, 1, 3, 3, true), -- A
			current_l2 = number(bytes, 4, 3, 3, true),
			current_l3 = number(bytes, 7, 3, 3, true),
		}
	end,
	power = function(bytes)
		local points, names = {}, { "power", "power_l1", "power_l2", "power_l3" }
		for i, name in ipairs(names) do
			local kilowatts = number(bytes, 3 * i - 2, 3, 4, true)
			points[name] = kilowatts and round(kilowatts * 1000, 1) -- W, negative: export
		end
		return points
	end,
	frequency = function(bytes)
		return { frequency = number(bytes, 1, 2, 2) } -- Hz
	end,
	import = function(bytes)
		return { energy_import = number(bytes, 1, 4, 2) } -- kWh
	end,
	export = function(bytes)
		return { energy_export = number(bytes, 1, 4, 2) } -- kWh
	end,
}

local function polls(device)
	local period = device.parameters.period
	local slow = device.parameters.energy_period
	return {
		{ name = "voltage", period = period, read = "0201ff00" },
		{ name = "current", period = period, read = "0202ff00" },
		{ name = "power", period = period, read = "0203ff00" },
		{ name = "frequency", period = slow, read = "02800002" },
		{ name = "import", period = slow, read = "00010000" },
		{ name = "export", period = slow, read = "00020000" },
	}
end

return {
	parameters = {
		period = { type = "number", default = 10, min = 0, max = 86400 },
		energy_period = { type = "number", default = 60, min = 0, max = 86400 },
	},
	polls = polls,
	decode = function(reading)
		return { points = decoders[reading.poll](reading.bytes) }
	end,
}
