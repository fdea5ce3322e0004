-- Exchanges the current token for the next one. family.lua stands before this.
--
-- ARGV[5]  the hash of the next token's secret
-- ARGV[6]  the answer to keep for who asks again
-- ARGV[7]  the family ends when nothing was exchanged for so long, in ms
--
-- Returns {1} when it was, now or by this very call before, {2, answer} when somebody was first,
-- {3, grant} when it or another one of the family was shown that was spent before, and else {0}.
if how == 2 then return {2, answer} end
if how == 3 then return {3, family[4]} end
if how == 0 then return {0} end
if how == 4 then return {1} end
-- What nobody gets any more goes, and of eight the oldest.
local kept, oldest, first = 0, nil, nil
local all = redis.call('HGETALL', KEYS[2])
for at = 1, #all, 2 do
  local spent = cmsgpack.unpack(all[at + 1])[1]
  if now - spent > tonumber(ARGV[4]) then
    redis.call('HDEL', KEYS[2], all[at])
  else
    kept = kept + 1
    if not first or spent < first then oldest, first = all[at], spent end
  end
end
if tonumber(ARGV[4]) > 0 then
  if kept >= 8 then redis.call('HDEL', KEYS[2], oldest) end
  redis.call('HSET', KEYS[2], ARGV[2], cmsgpack.pack({now, ARGV[6]}))
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
redis.call('HSET', KEYS[1], 'current', ARGV[5], 'generation', tonumber(family[3]) + 1)
redis.call('PEXPIRE', KEYS[1], math.min(tonumber(ARGV[7]), tonumber(family[5]) - now))
return {1}
