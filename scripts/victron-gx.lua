-- Maker:   Victron Energy
-- Models:  GX devices (Cerbo GX, Ekrano GX, Venus GX, CCGX) and Venus OS: service
--          com.victronenergy.system
-- Wire:    Modbus TCP, port 502, unit 100; to be switched on at the GX (Settings, Services)
-- Source:  attributes.csv of victronenergy/dbus_modbustcp, from which Victron makes its list of
--          registers, compared line by line; grid and PV power are at the same addresses in evcc;
--          not tried on hardware
-- Lacks:   the connected devices themselves, which have units of their own; 32-bit powers of newer
--          firmware
--
-- The system as a whole.  Integers in one register each.
-- The two relays of the GX can be switched: points relay_1 and relay_2.
--
-- Parameters:  period  seconds between two readings; 5

local RELAYS, AC, BATTERY, PV, DC = 806, 808, 840, 850, 860

local function phases(points, name, regs, address, method)
	for phase = 1, 3 do
		points[name .. "_l" .. phase] = regs[method](regs, address + phase - 1) -- W
	end
end

local function relays_of(bytes)
	local regs = registers(bytes, RELAYS)
	return { relay_1 = regs:u16(806) == 1, relay_2 = regs:u16(807) == 1 } -- true: closed
end

local decoders = {
	relays = relays_of,
	ac = function(bytes)
		local regs, points = registers(bytes, AC), {}
		phases(points, "pv_on_output_power", regs, 808, "u16")
		phases(points, "pv_on_grid_power", regs, 811, "u16")
		phases(points, "pv_on_genset_power", regs, 814, "u16")
		phases(points, "consumption_power", regs, 817, "u16")
		phases(points, "grid_power", regs, 820, "s16") -- negative: export
		phases(points, "genset_power", regs, 823, "s16")
		points.active_input = regs:s16(826) -- 0 none, 1 grid, 2 generator, 3 shore, 240 not connected
		return points
	end,
	battery = function(bytes)
		local regs = registers(bytes, BATTERY)
		return {
			battery_voltage = regs:u16(840) / 10, -- V
			battery_current = regs:s16(841) / 10, -- A, negative: discharging
			battery_power = regs:s16(842), -- W
			battery_soc = regs:u16(843), -- %
			battery_state = regs:u16(844), -- 0 idle, 1 charging, 2 discharging
			battery_consumed = regs:u16(845) / -10, -- Ah
			battery_time_to_go = regs:u16(846) * 100, -- s
		}
	end,
	pv = function(bytes)
		local regs = registers(bytes, PV)
		return {
			pv_dc_power = regs:u16(850), -- W
			pv_dc_current = regs:s16(851) / 10, -- A
		}
	end,
	dc = function(bytes)
		return { dc_system_power = registers(bytes, DC):s16(860) } -- W
	end,
}

local function polls(device)
	local period = device.parameters.period
	return {
		{ name = "relays", period = period, read = "holding_registers", address = RELAYS, count = 2 },
		{ name = "ac", period = period, read = "holding_registers", address = AC, count = 19 },
		{ name = "battery", period = period, read = "holding_registers", address = BATTERY, count = 7 },
		{ name = "pv", period = period, read = "holding_registers", address = PV, count = 2 },
		{ name = "dc", period = period, read = "holding_registers", address = DC, count = 1 },
	}
end

local function encode(command)
	if command.method ~= "thing.service.measurepoint.set" then
		return nil, "this device knows thing.service.measurepoint.set only"
	end
	local states, requests = {}, {}
	for name, value in pairs(command.params) do
		if name ~= "relay_1" and name ~= "relay_2" then
			return nil, "points that can be set are relay_1 and relay_2"
		elseif value ~= true and value ~= false and value ~= 0 and value ~= 1 then
			return nil, name .. " is true or false, or 1 or 0"
		end
		states[name] = (value == true or value == 1) and 1 or 0
	end
	for relay = 1, 2 do
		local state = states["relay_" .. relay]
		if state then
			requests[#requests + 1] = {
				write = "holding_registers",
				address = RELAYS + relay - 1,
				values = { state },
			}
		end
	end
	requests[#requests + 1] = { read = "holding_registers", address = RELAYS, count = 2 }
	return requests
end

-- How the relays stand afterwards.
local function reply(command, results)
	local answer = results[#results]
	if not answer or not answer.ok then
		return nil
	end
	return { data = relays_of(answer.bytes) }
end

return {
	parameters = {
		period = { type = "number", default = 5, min = 0, max = 86400 },
	},
	polls = polls,
	decode = function(reading)
		return { points = decoders[reading.poll](reading.bytes) }
	end,
	encode = encode,
	reply = reply,
}
