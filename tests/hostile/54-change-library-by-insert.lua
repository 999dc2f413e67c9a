try(table.insert, string, 1, "x") table.insert(table, function() end) sort(string)
