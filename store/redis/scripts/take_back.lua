-- Ends a lease and credits what was not spent of it, where it came from; once, and no more than
-- was granted. limits.lua, credit.lua and ledger.lua stand before this; decides as
-- core/leases/src/ledger.rs.
--
-- KEYS         as ledger.lua has them
-- ARGV[1]      the id of the lease, in hexadecimal
-- ARGV[2]      how much was not spent of it
-- ARGV[3]      how long after it was lent it may be credited, in ms
-- ARGV[4]      the limit, as limits.lua has it, for a cost of 0
--
-- Returns how much was credited.
local id, late = ARGV[1], ARGV[3] + 0
local stored = redis.pcall('HMGET', KEYS[2], 'sums', id)
if stored.err or not read_sums(stored[1]) then
  return 0
end
local of = lease(id, stored[2])
if settle() then
  of = lease(id, redis.call('HGET', KEYS[2], id))
end
if not of or of.fate == 'r' then
  redis.call('HSET', KEYS[2], 'sums', sums())
  return 0
end
if of.number >= first then
  out, live = out - of.granted, live - 1
else
  over = over - of.granted
end
local owed = is_owed(of, late)
if redis.call('ZREM', KEYS[3], id) == 0 then
  -- The other key was evicted: the sums say nothing any more.
  redis.call('DEL', KEYS[2])
elseif now < of.ends then
  -- Until then a late copy of the question may come, and must not be answered anew.
  of.fate = 'r'
  redis.call('HSET', KEYS[2], id, packed(of), 'sums', sums())
  redis.call('ZADD', KEYS[3], -of.ends, id)
else
  redis.call('HDEL', KEYS[2], id)
  redis.call('HSET', KEYS[2], 'sums', sums())
end
if not owed then
  return 0
end

local state, unused = read(KEYS[1], ARGV[4]), math.min(ARGV[2] + 0, of.granted)
local credited, place = 0, nil
if of.debit == 'l' then
  if state.kind == 'b' or state.kind == 'g' or state.kind == 'l' then
    credited = unused
    if unused > 0 then
      give_back(state, unused)
      return credited
    end
  end
elseif of.debit ~= 'x' then
  local debited = string.sub(of.debit, 2) + 0
  if string.sub(of.debit, 1, 1) == 'w' and state.kind == 'w' then
    if debited == state[1] then
      place = 2
    elseif debited + 1 == state[1] then
      place = 3
    end
  elseif string.sub(of.debit, 1, 1) == 'f' and state.window_ends and debited == state[1] then
    place = 2
  end
end
if place then
  credited = math.min(unused, state[place])
  state[place] = state[place] - credited
end
if credited > 0 or state.set_back then
  write(state)
end
return credited
