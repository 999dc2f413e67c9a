try(rep, "x", math.maxinteger) try(rep, "", math.maxinteger) try(rep, "xx", math.mininteger) try(rep, "x", 2, rep("y", 32000)) rep("", math.maxinteger, "x")
