-- Maker:   any
-- Models:  any whose registers stand in `points` of its configuration
-- Wire:    Modbus RTU, ASCII or TCP
-- Source:  the configuration, see docs/configuration.md, "point"
-- Lacks:   events, attributes, what depends on other registers: those need a script of their own
--
-- A device with points and no script runs this one.  Points that stand side by side in one table and
-- have the same period are read with one request; none is ever torn apart.  What is set with
-- measurepoint/set is written, read back and compared.
--
-- Parameters:  gap    registers or bits without a point that are read along to save a request; 0
--              block  most registers of one request, where the device gives less; 125

local REGISTERS, BITS = 125, 2000
-- Of what each reading needs, since a local is found sooner.
local registers, scaled = registers, scaled
-- Methods of registers, since they are found sooner than by their names at each call.
local methods = {}
for _, kind in ipairs({ "u16", "s16", "u32", "s32" }) do
	methods[kind] = registers("\0\0")[kind]
end
-- What is made of device.points, for each device; those with the same points share it.
local plans, shared = {}, {}

-- ---- what a point is -----------------------------------------------------------------------------

local function is_single_bit(point)
	return point.type == "bool" and not point.bit
end

local function real(value)
	if value == value and value ~= math.huge and value ~= -math.huge then
		return value
	end
end

-- A 64-bit number beyond Lua's integers, as a real.
local function unsigned(value)
	return value >= 0 and value or (value >> 1) * 2.0 + (value & 1)
end

local function bcd_of(name, bytes)
	local ok, value = try(bcd, bytes)
	if ok then
		return value
	end
	log(name .. " is left out: " .. value)
end

-- How it is taken out of the registers of its block; nil where there is no value.
local function getter(point)
	local kind, address, order, count = point.type, point.address, point.order, point.count
	if kind == "f32" or kind == "f64" then
		return function(regs) return real(regs[kind](regs, address, order)) end
	elseif point.sunspec and kind ~= "u64" then
		return function(regs) return regs:present(kind, address, order) end
	elseif kind == "string" then
		return function(regs) return regs:string(address, count) end
	elseif kind == "bcd" then
		return function(regs) return bcd_of(point.name, regs:bytes(address, count)) end
	elseif kind == "bool" then
		return function(regs) return regs:bits(address, point.bit) == 1 end
	elseif kind == "bits" then
		return function(regs) return regs:bits(address, point.bit, point.width) end
	end
	kind = kind == "u64" and "s64" or kind
	return function(regs) return regs[kind](regs, address, order) end
end

-- The same as a value: without what stands for none, and scaled.
local function valuer(item)
	local get, absent, scale, offset = getter(item), item.absent, item.scale, item.offset
	local kind, address, order = item.type, item.address, item.order
	if not absent and not scale and kind ~= "u64" then
		return get
	elseif not absent and not item.sunspec and find("u16 s16 u32 s32", kind) then
		local get_whole = methods[kind]
		return function(regs) return scaled(get_whole(regs, address, order), scale, offset) end
	end
	return function(regs)
		local value = get(regs)
		if value == nil or (absent and absent[value]) then
			return nil
		elseif kind == "u64" then
			value = unsigned(value)
		end
		return scale and scaled(value, scale, offset) or value
	end
end

-- The point with what decoding needs; a table of its own, since device.points is slower to look into.
local function item_of(point)
	local item = {}
	for key, value in pairs(point) do
		item[key] = value
	end
	if point.sentinels or (point.sunspec and point.type == "u64") then
		item.absent = { [-1] = point.sunspec }
		for _, number in ipairs(point.sentinels or {}) do
			item.absent[number] = true
		end
	end
	if point.scale or point.offset then
		item.scale, item.offset = point.scale or 1, point.offset or 0
	end
	item.value = not is_single_bit(point) and valuer(item) or nil
	return item
end

-- ---- polls ---------------------------------------------------------------------------------------

local function comes_before(a, b)
	if a.read ~= b.read then
		return a.read < b.read
	elseif a.period ~= b.period then
		return a.period < b.period
	end
	return a.address < b.address
end

local function name_of(block)
	return string.format("%s-%d-%gs", block.read, block.first, block.period)
end

-- Whether the item can be read with the block's request.
local function fits(block, item, gap, most)
	if not block or block.read ~= item.read or block.period ~= item.period then
		return false
	end
	return item.address <= block.behind + gap
		and item.address + item.count - block.first <= (block.bits and BITS or most)
end

local function make_plan(points, gap, most)
	local items, block = {}, nil
	local plan = { blocks = {}, names = {}, list = {} }
	for i, point in ipairs(points) do
		items[i] = item_of(point)
		plan.names[point.name] = items[i]
	end
	for _, item in ipairs(sort(items, comes_before)) do
		if not fits(block, item, gap, most) then
			block = {
				read = item.read,
				period = item.period,
				first = item.address,
				behind = item.address,
				bits = is_single_bit(item),
				items = {},
				names = {},
				values = {},
			}
			plan.list[#plan.list + 1] = block
			plan.blocks[name_of(block)] = block
		end
		local place = #block.items + 1
		block.items[place], block.names[place], block.values[place] = item, item.name, item.value
		block.behind = math.max(block.behind, item.address + item.count)
	end
	return plan
end

local function plan_of(device)
	local plan = plans[device]
	if plan then
		return plan
	end
	local points = device.points
	local gap, most = device.parameters.gap, device.parameters.block
	local key = gap .. "/" .. most
	shared[points] = shared[points] or {}
	shared[points][key] = shared[points][key] or make_plan(points, gap, most)
	plans[device] = shared[points][key]
	return plans[device]
end

local function polls(device)
	local list = {}
	for i, block in ipairs(plan_of(device).list) do
		list[i] = {
			name = name_of(block),
			period = block.period,
			read = block.read,
			address = block.first,
			count = block.behind - block.first,
		}
	end
	return list
end

-- ---- readings ------------------------------------------------------------------------------------

local function decode_bits(block, bytes)
	local points, states = {}, bits.list(bytes, block.behind - block.first)
	for _, item in ipairs(block.items) do
		points[item.name] = states[item.address - block.first + 1]
	end
	return { points = points }
end

local function decode(reading, device)
	local block = plan_of(device).blocks[reading.poll]
	if not block then
		return { raw = reading.bytes } -- a poll of the configuration
	elseif block.bits then
		return decode_bits(block, reading.bytes)
	end
	local points, names, values = {}, block.names, block.values
	local regs = registers(reading.bytes, block.first)
	for i = 1, #names do
		points[names[i]] = values[i](regs)
	end
	return { points = points }
end

-- ---- commands ------------------------------------------------------------------------------------

local function range_of(item)
	local unit = item.unit and " " .. item.unit or ""
	if item.min and item.max then
		return " from " .. item.min .. " to " .. item.max .. unit
	elseif item.min then
		return " of at least " .. item.min .. unit
	elseif item.max then
		return " of at most " .. item.max .. unit
	end
	return item.unit and " in" .. unit or ""
end

local function writable_names(plan)
	local names = {}
	for name, item in pairs(plan.names) do
		if item.writable then
			names[#names + 1] = name
		end
	end
	return #names > 0 and table.concat(sort(names), ", ") or "none"
end

-- The number as it is written, before it is packed.
local function raw_of(item, value)
	local number = (value - (item.offset or 0)) / (item.scale or 1)
	return (item.type == "f32" or item.type == "f64") and number or round(number)
end

-- The registers that hold the number; an error where they do not.
local function pack(item, number)
	if item.type == "bcd" then
		local bytes, values = tobcd(number, 2 * item.count), {}
		for i = 1, item.count do
			values[i] = string.unpack(">I2", bytes, 2 * i - 1)
		end
		return values
	end
	return words(item.type, number, item.order)
end

local function prepare_bit(item, value)
	if value == true or value == 1 then
		return { item = item, state = 1 }
	elseif value == false or value == 0 then
		return { item = item, state = 0 }
	end
	return nil, item.name .. " is true or false, or 1 or 0"
end

-- What is to be written for one point; nil and why not.
local function prepare(item, value)
	if item.type == "bool" then
		return prepare_bit(item, value)
	elseif
		math.type(value) == nil
		or (item.min and value < item.min)
		or (item.max and value > item.max)
	then
		return nil, item.name .. " is a number" .. range_of(item)
	elseif item.type == "bits" then
		local most = (1 << item.width) - 1
		if math.type(value) ~= "integer" or value < 0 or value > most then
			return nil, item.name .. " is a whole number from 0 to " .. most
		end
		return { item = item, state = value }
	end
	local ok, values = try(pack, item, raw_of(item, value))
	if not ok then
		return nil, item.name .. ": " .. value .. " does not fit into its registers"
	end
	return { item = item, values = values }
end

-- All that a command asks for, in the order of addresses; nil and why not.
local function wanted(command, plan)
	if command.method ~= "thing.service.measurepoint.set" then
		return nil, "this device knows thing.service.measurepoint.set only"
	end
	local list = {}
	for name, value in pairs(command.params) do
		local item = plan.names[name]
		if not item or not item.writable then
			local what = item and " can only be read" or " is no point of this device"
			return nil, name .. what .. "; writable: " .. writable_names(plan)
		end
		local write, why = prepare(item, value)
		if not write then
			return nil, why
		end
		list[#list + 1] = write
	end
	if #list == 0 then
		return nil, "no point is named; writable: " .. writable_names(plan)
	end
	return sort(list, function(a, b) return comes_before(a.item, b.item) end)
end

local function read_request(item)
	return { read = item.read, address = item.address, count = item.count }
end

-- Bits of a register are written with those around them, which are read first: one write for each
-- register, and the number of its read.
local function gather(list)
	local writes, reads, of = {}, {}, {}
	for _, write in ipairs(list) do
		local item = write.item
		if item.bit then
			local place = item.read .. item.address
			if not of[place] then
				reads[#reads + 1] = read_request(item)
				of[place] = { item = item, fields = {}, source = #reads }
				writes[#writes + 1] = of[place]
			end
			local fields = of[place].fields
			fields[#fields + 1] = write
		else
			writes[#writes + 1] = write
		end
	end
	return writes, reads
end

local function values_of(write, results)
	if not write.fields then
		return write.values or { write.state }
	end
	local number = string.unpack(">I2", results[write.source].bytes)
	for _, field in ipairs(write.fields) do
		number = bits.set(number, field.item.bit, field.item.width or 1, field.state)
	end
	return { number }
end

local function read_backs(list)
	local requests = {}
	for _, write in ipairs(list) do
		if write.item.read_back ~= false then
			write.answer = #requests + 1
			requests[write.answer] = read_request(write.item)
		end
	end
	return requests
end

local function encode(command, device, results)
	local list, why = wanted(command, plan_of(device))
	if not list then
		return nil, why
	end
	for _, result in ipairs(results) do
		if not result.ok then
			return {} -- the reply says what failed
		end
	end
	local writes, reads = gather(list)
	if #results < #reads then
		reads.more = true
		return reads
	end
	local backs = read_backs(list)
	if #results == #reads + #writes then
		return backs
	end
	local requests = { more = #backs > 0 }
	for i, write in ipairs(writes) do
		local item = write.item
		requests[i] = { write = item.read, address = item.address, values = values_of(write, results) }
	end
	return requests
end

-- What was meant to stand there and what does, as values.
local function compare(write, bytes)
	local item = write.item
	if is_single_bit(item) then
		return write.state == 1, bits.list(bytes, 1)[1]
	end
	local got = item.value(registers(bytes, item.address))
	if item.type == "bool" then
		return write.state == 1, got
	elseif item.type == "bits" then
		return write.state, got
	end
	local packed = {}
	for i, number in ipairs(write.values) do
		packed[i] = string.pack(">I2", number)
	end
	return item.value(registers(table.concat(packed), item.address)), got
end

local function is_same(item, expected, got)
	if math.type(expected) and math.type(got) then
		return math.abs(expected - got) <= (item.tolerance or 0) + math.abs(expected) * 1e-9
	end
	return expected == got
end

local function reply(command, results, device)
	for _, result in ipairs(results) do
		if not result.ok then
			return nil -- the default says it
		end
	end
	local list = wanted(command, plan_of(device))
	local writes, reads = gather(list)
	local first, data, faults = #reads + #writes, {}, {}
	read_backs(list)
	for _, write in ipairs(list) do
		if write.answer then
			local expected, got = compare(write, results[first + write.answer].bytes)
			data[write.item.name] = got
			if not is_same(write.item, expected, got) then
				faults[#faults + 1] = write.item.name
					.. ": "
					.. tostring(expected)
					.. " was written, but "
					.. tostring(got)
					.. " stands there"
			end
		end
	end
	if #faults > 0 then
		data.message = table.concat(faults, "; ")
		return { code = 502, data = data }
	end
	return { data = data }
end

return {
	parameters = {
		gap = { type = "integer", default = 0, min = 0, max = REGISTERS, help = "registers" },
		block = { type = "integer", default = REGISTERS, min = 4, max = REGISTERS, help = "registers" },
	},
	polls = polls,
	decode = decode,
	encode = encode,
	reply = reply,
}
