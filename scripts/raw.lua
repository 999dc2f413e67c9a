-- Pass-through: what was read goes to the cloud as it is, what the cloud sends is written as it is.
-- The product's own parsing script in the cloud knows what the bytes mean.
--
-- Up: each reading is one message to thing/model/up_raw.  The polls stand in the configuration.
--
-- Down: a message to thing/model/down_raw is a write to holding registers:
--     2 bytes  address of the first register, big-endian, counted from 0
--     n bytes  contents of the registers, 2 bytes each
-- The answer, to thing/model/down_raw_reply:
--     1 byte   0 done; 1 the device refused; 2 no answer, may have been executed; 3 not executed
--     1 byte   only where the device refused: its exception code

local NOT_EXECUTED = { expired = true, link = true, skipped = true, busy = true }

return {
	decode = function(reading)
		return { raw = reading.bytes }
	end,

	encode = function(command)
		if not command.raw then
			return nil, "this device takes only raw bytes"
		end
		if #command.raw < 4 or #command.raw % 2 ~= 0 then
			return nil, "2 bytes of address and the contents of at least 1 register are needed"
		end
		local address = string.unpack(">I2", command.raw)
		return { { write = "holding_registers", address = address, bytes = command.raw:sub(3) } }
	end,

	reply = function(command, results)
		local result = results[1]
		if not command.raw or not result then
			return nil
		elseif result.ok then
			return { raw = "\0" }
		elseif result.status == "exception" then
			return { raw = string.pack("BB", 1, result.code) }
		end
		return { raw = NOT_EXECUTED[result.status] and "\3" or "\2" }
	end,
}
