-- Says how circuits stand; changes nothing. circuit.lua stands before this.
--
-- KEYS[…]      of each circuit its key, and the sorted set of those who report
-- ARGV[…]      of each how long its window is, in ms
--
-- Returns of each, one after the other, how it stands and how many reporters were heard of within
-- its window.
local answer = {}
for at = 1, #KEYS, 2 do
  for _, value in ipairs({standing(read(KEYS[at]))}) do
    answer[#answer + 1] = value
  end
  answer[#answer + 1] = call('ZCOUNT', KEYS[at + 1], now - ARGV[(at + 1) / 2], '+inf')
end
return answer
