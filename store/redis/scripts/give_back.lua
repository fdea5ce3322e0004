-- Gives back what was taken for requests that did not count in the end, and the places of those
-- that have left. Of what is not there any more, nothing. limits.lua and credit.lua stand before
-- this.
--
-- KEYS         the limits' keys
-- ARGV         the limits' arguments, as limits.lua has them
--
-- Returns how many keys were named. A key that nothing is counted by any more goes.
local a = 1
for _, key in ipairs(KEYS) do
  if ARGV[a] == 'i' then
    redis.pcall('ZREM', key, ARGV[a + 1])
    a = a + 4
  else
    local state = read(key, a)
    give_back(state, ARGV[a + 1] + 0)
    a = a + state.width
  end
end
return #KEYS
