-- Maker:   various
-- Models:  GNSS receivers and ship's instruments that send NMEA 0183 sentences GGA, RMC, VTG
-- Wire:    plugin frame, which listens: start = "24", delimiter = "0d0a", checksum = "nmea"; often
--          4800 or 9600 baud, 8N1: check the device's own setting
-- Source:  the public descriptions of NMEA 0183 (gpsd, "NMEA Revealed") with their example
--          sentences; not tried on hardware
-- Lacks:   all other sentences; dates (a reading has the time at which it came)
--
-- Nothing is asked: each sentence that comes is a reading.  An empty field has no point, and a
-- position without a fix none either.
--
-- Parameters:  talker  the two letters of the sender: GP, GN, GL, II; GP

-- Degrees of ddmm.mmm or dddmm.mmm and the letter behind it; nil where they are empty.
local function degrees(text, letter)
	local value = tonumber(text)
	if not value then
		return nil
	end
	local whole = value // 100
	local angle = round(whole + (value - whole * 100) / 60, 7)
	return (letter == "S" or letter == "W") and -angle or angle
end

local decoders = {
	gga = function(fields)
		local fix = tonumber(fields[7])
		local valid = fix and fix > 0
		return {
			fix = fix, -- 0 none, 1 GNSS, 2 differential, 4 and 5 RTK
			satellites = tonumber(fields[8]),
			hdop = tonumber(fields[9]),
			latitude = valid and degrees(fields[3], fields[4]) or nil, -- north is positive
			longitude = valid and degrees(fields[5], fields[6]) or nil, -- east is positive
			altitude = valid and tonumber(fields[10]) or nil, -- m
		}
	end,
	rmc = function(fields)
		local valid = fields[3] == "A"
		return {
			valid = valid,
			speed = valid and tonumber(fields[8]) or nil, -- knots
			course = valid and tonumber(fields[9]) or nil, -- degrees
		}
	end,
	vtg = function(fields)
		return {
			course = tonumber(fields[2]), -- degrees
			speed = tonumber(fields[6]), -- knots
		}
	end,
}

return {
	parameters = {
		talker = { type = "string", default = "GP" },
	},
	polls = function(device)
		local talker = device.parameters.talker
		local list = {}
		for _, sentence in ipairs({ "gga", "rmc", "vtg" }) do
			list[#list + 1] = { name = sentence, expect_text = "$" .. talker .. sentence:upper() }
		end
		return list
	end,

	decode = function(reading)
		return { points = decoders[reading.poll](split(reading.bytes, ",")) }
	end,
}
