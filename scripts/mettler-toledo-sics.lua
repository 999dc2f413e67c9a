-- Maker:   Mettler Toledo
-- Models:  balances, scales and terminals with the MT-SICS command set, levels 0 and 1
-- Wire:    plugin frame: delimiter = "0d0a"; often 9600 baud, 8N1, or TCP: check the device's own
--          setting
-- Source:  Mettler Toledo, operating instructions of AT and JS balances, "MT-SICS", with the example of
--          a response; the responses to Z and T from public programs that agree; not tried on hardware
-- Lacks:   stable values alone (S), tare values, displays, keys, settings
--
-- Balance.  It is asked for the net weight as it is, stable or not.  While the load is out of its
-- range, or the balance is busy, there is no weight.  The services zero and tare wait for a stable
-- value at the balance; their answer says what came of it.
--
-- Parameters:  period  seconds between two readings; 1

local SERVICES = { zero = "Z", tare = "T" }

local SAYS = {
	["I"] = "the balance cannot do this now",
	["+"] = "above the range",
	["-"] = "below the range",
}

-- The words of a response; several blanks stand between them.
local function words_of(text)
	local words = {}
	for _, word in ipairs(split(text, " ")) do
		if word ~= "" then
			words[#words + 1] = word
		end
	end
	return words
end

local function service_of(command)
	for service, letter in pairs(SERVICES) do
		if command.method == "thing.service." .. service then
			return letter
		end
	end
end

local function decode(reading)
	local words = words_of(reading.bytes)
	local status, value = words[2], tonumber(words[3])
	if status == "I" then
		return nil
	elseif status == "+" or status == "-" then
		return { points = { out_of_range = true, stable = false } }
	elseif words[1] ~= "S" or not value or (status ~= "S" and status ~= "D") then
		error("not the response to SI: '" .. reading.bytes .. "'")
	end
	return {
		points = {
			weight = value,
			unit = words[4],
			out_of_range = false,
			stable = status == "S",
		},
	}
end

return {
	parameters = {
		period = {
			type = "number",
			default = 1,
			min = 0,
			max = 86400,
			help = "seconds between two readings",
		},
	},
	polls = function(device)
		return {
			{
				name = "weight",
				period = device.parameters.period,
				send_text = "SI",
				terminator = "\r\n",
				expect_text = "S ",
			},
		}
	end,

	decode = decode,

	encode = function(command)
		local letter = service_of(command)
		if not letter then
			return nil, "there are the services zero and tare"
		end
		return {
			{ send_text = letter, terminator = "\r\n", expect_text = letter .. " ", write = true },
		}
	end,

	reply = function(command, results)
		local answer = results[1]
		if not answer.ok then
			return nil
		end
		local word = words_of(answer.bytes)[2]
		if SAYS[word] then
			return { code = 500, data = { reason = SAYS[word] } }
		end
		return { code = 200 }
	end,
}
