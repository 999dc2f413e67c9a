-- Maker:   A&D
-- Models:  balances and scales that send the A&D standard format, as EK-i, EK-L, EJ, GC, FZ-i
-- Wire:    plugin frame: delimiter = "0d0a"; often 2400 baud, 7 bits, even parity: check the
--          scale's own setting
-- Source:  A&D, instruction manuals of EK-i and EJ (page 24) and of GC (page 51), "Data format", whose
--          examples are the fixtures; commands from that of FZ-i (page 51); not tried on hardware
-- Lacks:   the results of a comparator, other formats (DP, KF, MT, CSV), settings
--
-- Balance.  In stream mode (prt 0) it talks and nothing is asked; with the parameter period it is
-- asked.  A weight has the unit that the balance shows.  While the load is out of range there is no
-- weight.  The services zero and tare press these keys; no answer is waited for.
--
-- Parameters:  period  seconds between two readings; without it the balance talks

local KEYS = { zero = "Z", tare = "T" }

local NAMES = { ["PC"] = "count", ["%"] = "percent" }

local function decode(reading)
	local header, rest = reading.bytes:sub(1, 3), reading.bytes:sub(4)
	local out = header == "OL,"
	if not out and header ~= "ST," and header ~= "QT," and header ~= "US," then
		error("not the A&D standard format: '" .. reading.bytes .. "'")
	elseif out then
		return { points = { out_of_range = true, stable = false } }
	end
	local value, unit = number(rest)
	if not value then
		error("no number in '" .. reading.bytes .. "'")
	end
	unit = trim(unit)
	local name = NAMES[unit] or "weight"
	return {
		points = {
			[name] = value,
			unit = name == "weight" and unit or nil,
			out_of_range = false,
			stable = header ~= "US,",
		},
	}
end

return {
	parameters = {
		period = {
			type = "number",
			optional = true,
			min = 0,
			max = 86400,
			help = "seconds between two readings",
		},
	},
	polls = function(device)
		local period = device.parameters.period
		if not period then
			return { { name = "weight" } }
		end
		return { { name = "weight", period = period, send_text = "Q", terminator = "\r\n" } }
	end,

	decode = decode,

	encode = function(command)
		for service, key in pairs(KEYS) do
			if command.method == "thing.service." .. service then
				return { { send_text = key, terminator = "\r\n", answer = false, write = true } }
			end
		end
		return nil, "there are the services zero and tare"
	end,
}
