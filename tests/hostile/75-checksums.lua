local s = rep("x", 32000) while true do crc.crc32(s) crc.modbus(s) crc.sum8(s) end
