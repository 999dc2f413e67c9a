-- Maker:   various (SunSpec Alliance)
-- Models:  inverters with SunSpec models 101 to 103 or 111 to 113, meters with 201 to 204 or 211 to
--          214, of any maker
-- Wire:    Modbus TCP, port 502, or Modbus RTU: check the device's own setting, and that SunSpec is
--          switched on there
-- Source:  SunSpec Alliance, github.com/sunspec/models (models 1, 101 to 103, 111 to 113, 201 to
--          204, 211 to 214), and its program pysunspec2 (bases, marks of what is not implemented);
--          not tried on hardware
-- Lacks:   all other models, everything that is written; power factors, which some makers give in
--          percent and some not; phases of energies, apparent and reactive energies
--
-- Inverter, energy meter, or both behind one unit id.  Where the models lie is found by walking
-- their chain from its base to its end, or through 24 models.  The first inverter or meter has the
-- plain names (power, voltage_l1); each further one a prefix: meter_1_power, meter_2_power,
-- inverter_2_power.  What a device marks as not implemented has no point.  Which sign of a meter's
-- power is import is the maker's choice.  Maker, model, version and serial number are attributes.
--
-- Parameters:  period  seconds between two readings; 5
--              base    first register of the chain: 40000, 0 or 50000; all three are tried

local BASES = { 40000, 0, 50000 }
local MODELS_MAX = 24
local COMMON, END = 1, 0xffff

-- Where a model has its values, in registers behind its id and length; sf: where their scale
-- factor is.
local whole_inverter = {
	size = 50,
	{ "current", "u16", 0, sf = 4 }, -- A
	{ "current_l1", "u16", 1, sf = 4 },
	{ "current_l2", "u16", 2, sf = 4 },
	{ "current_l3", "u16", 3, sf = 4 },
	{ "voltage_l1_l2", "u16", 5, sf = 11 }, -- V
	{ "voltage_l2_l3", "u16", 6, sf = 11 },
	{ "voltage_l3_l1", "u16", 7, sf = 11 },
	{ "voltage_l1", "u16", 8, sf = 11 },
	{ "voltage_l2", "u16", 9, sf = 11 },
	{ "voltage_l3", "u16", 10, sf = 11 },
	{ "power", "s16", 12, sf = 13 }, -- W
	{ "frequency", "u16", 14, sf = 15 }, -- Hz
	{ "apparent_power", "s16", 16, sf = 17 }, -- VA
	{ "reactive_power", "s16", 18, sf = 19 }, -- var
	{ "energy_yield", "u32", 22, sf = 24, factor = 0.001 }, -- kWh
	{ "dc_current", "u16", 25, sf = 26 },
	{ "dc_voltage", "u16", 27, sf = 28 },
	{ "dc_power", "s16", 29, sf = 30 },
	{ "temperature", "s16", 31, sf = 35 }, -- degrees Celsius, in the cabinet
	{ "status", "u16", 36 }, -- 1 off, 2 sleeps, 3 starts, 4 runs, 5 limited, 6 stops, 7 fault, 8 ready
	{ "events", "u32", 38 },
}

local real_inverter = {
	size = 60,
	{ "current", "f32", 0 },
	{ "current_l1", "f32", 2 },
	{ "current_l2", "f32", 4 },
	{ "current_l3", "f32", 6 },
	{ "voltage_l1_l2", "f32", 8 },
	{ "voltage_l2_l3", "f32", 10 },
	{ "voltage_l3_l1", "f32", 12 },
	{ "voltage_l1", "f32", 14 },
	{ "voltage_l2", "f32", 16 },
	{ "voltage_l3", "f32", 18 },
	{ "power", "f32", 20 },
	{ "frequency", "f32", 22 },
	{ "apparent_power", "f32", 24 },
	{ "reactive_power", "f32", 26 },
	{ "energy_yield", "f32", 30, factor = 0.001 },
	{ "dc_current", "f32", 32 },
	{ "dc_voltage", "f32", 34 },
	{ "dc_power", "f32", 36 },
	{ "temperature", "f32", 38 },
	{ "status", "u16", 46 },
	{ "events", "u32", 48 },
}

local whole_meter = {
	size = 53,
	{ "current", "s16", 0, sf = 4 },
	{ "current_l1", "s16", 1, sf = 4 },
	{ "current_l2", "s16", 2, sf = 4 },
	{ "current_l3", "s16", 3, sf = 4 },
	{ "voltage_l1", "s16", 6, sf = 13 },
	{ "voltage_l2", "s16", 7, sf = 13 },
	{ "voltage_l3", "s16", 8, sf = 13 },
	{ "voltage_l1_l2", "s16", 10, sf = 13 },
	{ "voltage_l2_l3", "s16", 11, sf = 13 },
	{ "voltage_l3_l1", "s16", 12, sf = 13 },
	{ "frequency", "s16", 14, sf = 15 },
	{ "power", "s16", 16, sf = 20 },
	{ "power_l1", "s16", 17, sf = 20 },
	{ "power_l2", "s16", 18, sf = 20 },
	{ "power_l3", "s16", 19, sf = 20 },
	{ "apparent_power", "s16", 21, sf = 25 },
	{ "reactive_power", "s16", 26, sf = 30 },
	{ "energy_export", "u32", 36, sf = 52, factor = 0.001 },
	{ "energy_import", "u32", 44, sf = 52, factor = 0.001 },
}

local real_meter = {
	size = 68,
	{ "current", "f32", 0 },
	{ "current_l1", "f32", 2 },
	{ "current_l2", "f32", 4 },
	{ "current_l3", "f32", 6 },
	{ "voltage_l1", "f32", 10 },
	{ "voltage_l2", "f32", 12 },
	{ "voltage_l3", "f32", 14 },
	{ "voltage_l1_l2", "f32", 18 },
	{ "voltage_l2_l3", "f32", 20 },
	{ "voltage_l3_l1", "f32", 22 },
	{ "frequency", "f32", 24 },
	{ "power", "f32", 26 },
	{ "power_l1", "f32", 28 },
	{ "power_l2", "f32", 30 },
	{ "power_l3", "f32", 32 },
	{ "apparent_power", "f32", 34 },
	{ "reactive_power", "f32", 42 },
	{ "energy_export", "f32", 58, factor = 0.001 },
	{ "energy_import", "f32", 66, factor = 0.001 },
}

local models = {}
for phases = 1, 3 do
	models[100 + phases] = { kind = "inverter", map = whole_inverter }
	models[110 + phases] = { kind = "inverter", map = real_inverter }
end
for wiring = 1, 4 do
	models[200 + wiring] = { kind = "meter", map = whole_meter }
	models[210 + wiring] = { kind = "meter", map = real_meter }
end

local function value_of(regs, item)
	local raw = regs:present(item[2], 2 + item[3])
	if not raw then
		return nil
	end
	local scale = item.sf and regs:present("s16", 2 + item.sf) or 0
	if scale == 0 and not item.factor then
		return raw
	end
	return scaled(raw, 10.0 ^ scale * (item.factor or 1))
end

local function attributes_of(bytes)
	local regs, attributes = registers(bytes), {}
	local texts = { manufacturer = 2, model = 18, version = 42, serial_number = 50 }
	for name, at in pairs(texts) do
		local text = trim(regs:string(at, name == "version" and 8 or 16))
		attributes[name] = text ~= "" and text or nil
	end
	return attributes
end

-- Each poll begins with the model's id, so that a chain that changed is no wrong value.
local function decode(reading)
	local id = string.unpack(">I2", reading.bytes)
	if reading.poll == "common" then
		return id == COMMON and { attributes = attributes_of(reading.bytes) } or nil
	elseif not models[id] then
		error("at the place of poll '" .. reading.poll .. "' is model " .. id .. " now")
	end
	local regs, points = registers(reading.bytes), {}
	local prefix = reading.poll == "live" and "" or reading.poll .. "_"
	for _, item in ipairs(models[id].map) do
		points[prefix .. item[1]] = value_of(regs, item)
	end
	return { points = points }
end

local function polls_of(device, found)
	local list, counts = {}, { inverter = 0, meter = 0 }
	local function poll(name, period, at, count)
		list[#list + 1] = {
			name = name,
			period = period,
			read = "holding_registers",
			address = at,
			count = count,
		}
	end
	for _, model in ipairs(found) do
		local known = models[model.id]
		local name = "common"
		if known and counts.first then
			counts[known.kind] = counts[known.kind] + 1
			name = known.kind .. "_" .. counts[known.kind]
		elseif known then
			counts.first, name = true, "live"
		end
		poll(name, known and device.parameters.period or 3600, model.at,
			known and known.map.size + 2 or 66)
	end
	return list, counts.first
end

local function read(address)
	return { { read = "holding_registers", address = address, count = 2 } }
end

-- The next base to look at, or why there is none.
local function try_base(device)
	local bases = device.parameters.base and { device.parameters.base } or BASES
	local walk = device.state
	walk.tried = walk.tried + 1
	local base = bases[walk.tried]
	if not base then
		return nil, "no SunSpec chain begins at register " .. table.concat(bases, ", ")
	end
	walk.at = base
	return read(base)
end

local function begins_chain(result)
	return result.ok and result.bytes == "SunS"
end

local function finish(device)
	local polls, useful = polls_of(device, device.state.found)
	if not useful then
		return nil, "the SunSpec chain has no inverter and no meter among its first "
			.. device.state.seen .. " models"
	end
	return { polls = polls }
end

-- Takes over what the last header says; true at the end of the chain.
local function step(walk, bytes)
	local id, length = string.unpack(">I2I2", bytes)
	if id == END or walk.seen == MODELS_MAX then
		return true
	end
	walk.seen = walk.seen + 1
	local known = models[id]
	local fits = known and length >= known.map.size or id == COMMON and length >= 64
	if fits and not (id == COMMON and #walk.found > 0) then
		walk.found[#walk.found + 1] = { id = id, at = walk.at }
	end
	walk.at = walk.at + 2 + length
	return walk.at > 0xfffe
end

local function discover(device, results)
	local walk = device.state
	if #results == 0 then
		device.state = { tried = 0, seen = 0, found = {} }
		return try_base(device)
	elseif walk.seen == 0 and #walk.found == 0 and not walk.chain then
		if not begins_chain(results[1]) then
			return try_base(device)
		end
		walk.chain, walk.at = true, walk.at + 2
		return read(walk.at)
	elseif not results[1].ok then
		return nil, "the header of the model at register " .. walk.at .. ": " .. results[1].status
	elseif step(walk, results[1].bytes) then
		return finish(device)
	end
	return read(walk.at)
end

return {
	parameters = {
		period = {
			type = "number",
			default = 5,
			min = 0,
			max = 86400,
			help = "seconds between two readings",
		},
		base = {
			type = "integer",
			optional = true,
			min = 0,
			max = 65000,
			help = "first register of the chain",
		},
	},
	discover = discover,
	decode = decode,
}
