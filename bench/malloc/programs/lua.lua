-- Lua: tables, strings and closures under its own garbage collector, which frees in bulk.
-- The argument says how much; 1 takes a second or two. Prints a checksum of the results.
local scale = tonumber(arg[1])

local function tree(depth)
    if depth == 0 then return { depth = 0 } end
    return { left = tree(depth - 1), right = tree(depth - 1), depth = depth }
end

local function count(node)
    if not node.left then return 1 end
    return 1 + count(node.left) + count(node.right)
end

local function trees(times)
    local nodes = 0
    for _ = 1, times do nodes = nodes + count(tree(12)) end
    return nodes
end

local function words(times)
    local counts, state = {}, 12345
    for _ = 1, times do
        state = (state * 1103515245 + 12345) % 2147483648
        local word = "word" .. (state // 65536)
        counts[word] = (counts[word] or 0) + 1
    end
    local most = 0
    for word, n in pairs(counts) do most = math.max(most, n * 100 + #word) end
    return most
end

local function text(times)
    local total = 0
    for i = 1, times do
        local parts = {}
        for k = 1, 60 do parts[k] = string.format("%d:%s", i * k, ("x"):rep(k % 23)) end
        local line = table.concat(parts, ","):gsub("x+", "y")
        for field in line:gmatch("[^,]+") do total = total + #field end
    end
    return total
end

local function closures(times)
    local list, sum = {}, 0
    for i = 1, times do
        list[(i - 1) % 1000 + 1] = function(x) return x + i end
        sum = (sum + list[i * 7 % #list + 1](i)) % 999983
    end
    return sum
end

print(trees(math.ceil(170 * scale)))
print(words(math.ceil(600000 * scale)))
print(text(math.ceil(9000 * scale)))
print(closures(math.ceil(1500000 * scale)))
