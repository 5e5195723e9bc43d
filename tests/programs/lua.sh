# lua5.4: tables, strings, closures, coroutines and its collector, all through realloc.
. "$(dirname "$0")/tools.sh"
need lua5.4
on lua5.4 - <<'LUA'
local t, sum = {}, 0
for i = 1, 300000 do t[i % 5003] = {i, tostring(i), {i * 2}} end
for i = 0, 5002 do sum = sum + t[i][1] + t[i][3][1] end
print(sum)
local parts = {}
for i = 1, 50000 do parts[#parts + 1] = string.rep('x', i % 40) .. i end
local text = table.concat(parts, ',')
print(#text, #(text:gsub('x+', '')))
local out = {}
for i = 1, 1000 do
    local co = coroutine.wrap(function(n) for k = 1, 9 do coroutine.yield(k * n) end end)
    for k = 1, 5 do out[#out + 1] = co(i) end
end
print(#out, out[#out])
table.sort(parts)
print(parts[1], parts[#parts])
collectgarbage()
local s = ''
for i = 1, 4000 do s = s .. 'abc' end
print(#s)
LUA
