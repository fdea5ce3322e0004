-- Gives back what was taken for requests that did not count in the end, and the places of those
-- that have left. Of what is not there any more, nothing. limits.lua and credit.lua stand before
-- this.
--
-- KEYS         the limits' keys
-- ARGV         the limits, as limits.lua has them
--
-- Returns how many keys were named. A key that nothing is counted by any more goes.
for at, key in ipairs(KEYS) do
  local packed = ARGV[at]
  if string.sub(packed, 1, 1) == 'i' then
    try('ZREM', key, string.sub(packed, 37))
  else
    give_back(read(key, packed))
  end
end
return #KEYS
