-- Maker:   Peacefair
-- Models:  PZEM-017, PZEM-003
-- Wire:    Modbus RTU, often 9600 baud, 8N2, unit 1: check the device's own setting
-- Source:  ESPHome (pzemdc), which also shows an answer from the wire, and public drivers of
--          PZEM-003 and PZEM-017 with the same registers, alarms included; the maker's document
--          behind them was not seen; not tried on hardware
-- Lacks:   resetting the energy, for which the maker has a function code of its own (0x42);
--          thresholds, the range of the shunt, the unit's address
--
-- DC meter.  Eight input registers in a row; values of 32 bits have their low word first.
--
-- Parameters:  period  seconds between two readings; 5

local LIVE = 0x0000

return {
	parameters = {
		period = { type = "number", default = 5, min = 0, max = 86400 },
	},
	polls = function(device)
		return {
			{
				name = "live",
				period = device.parameters.period,
				read = "input_registers",
				address = LIVE,
				count = 8,
			},
		}
	end,

	decode = function(reading)
		local regs = registers(reading.bytes, LIVE)
		return {
			points = {
				voltage = regs:u16(0) / 100, -- V
				current = regs:u16(1) / 100, -- A
				power = regs:u32(2, "cdab") / 10, -- W
				energy_import = regs:u32(4, "cdab") / 1000, -- kWh, from Wh
				alarm_high = regs:u16(6) == 0xffff, -- the voltage is above its threshold
				alarm_low = regs:u16(7) == 0xffff,
			},
		}
	end,
}
