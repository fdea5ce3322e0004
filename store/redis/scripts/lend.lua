-- Lends a slice of a limit: debits it, and remembers the lease. The same question again gets the
-- same answer, and debits nothing. limits.lua and ledger.lua stand before this; decides as
-- core/leases/src/ledger.rs and lender.rs.
--
-- KEYS         as ledger.lua has them
-- ARGV[1]      the id of the lease, in hexadecimal
-- ARGV[2]      how much is asked for
-- ARGV[3]      how much may be out at once
-- ARGV[4]      how long a lease lives, in ms
-- ARGV[5]      how long after it was lent it may be credited, in ms
-- ARGV[6]      the limit, as limits.lua has it, for a cost of 0
--
-- Returns {now, granted, life_ms, taken, …}: how much was taken for it now, and what was kept of
-- the limit before, as decide.lua has it.
local id, asked, cap = ARGV[1], ARGV[2] + 0, ARGV[3] + 0
local life, late = ARGV[4] + 0, ARGV[5] + 0
local stored = redis.pcall('HMGET', KEYS[2], 'sums', id)
local count = redis.pcall('ZCARD', KEYS[3])
local known
-- One key without the other, because that was evicted, says nothing.
if read_sums(not stored.err and stored[1]) and type(count) == 'number' and count > 0 then
  known = lease(id, stored[2])
  if settle() then
    known = lease(id, redis.call('HGET', KEYS[2], id))
  end
else
  redis.call('DEL', KEYS[2], KEYS[3])
  latest, number, first, due, out, live, over, count = now, 0, 1, 0, 0, 0, 0, 0
end

local function drop(ids)
  if #ids > 0 then
    redis.call('HDEL', KEYS[2], unpack(ids))
    redis.call('ZREM', KEYS[3], unpack(ids))
    count = count - #ids
  end
end

-- The oldest open leases from one number to another, a few at a time, as long as `has_left` is
-- true for them and does what follows from that.
local function pass(from, to, has_left)
  local ids, values, at = {}, {}, 0
  while true do
    at = at + 1
    if at > #ids then
      ids = redis.call('ZRANGEBYSCORE', KEYS[3], from, to, 'LIMIT', 0, 16)
      if #ids == 0 then
        return
      end
      values, at = redis.call('HMGET', KEYS[2], unpack(ids)), 1
    end
    local of = lease(ids[at], values[at])
    if not of then
      return drop({ids[at]})
    end
    if not has_left(of) then
      return
    end
    from = '(' .. of.number
  end
end

drop(redis.call('ZRANGEBYSCORE', KEYS[3], -now, 0))
if live > 0 and now >= due then
  pass(first, '+inf', function(of)
    due = of.ends
    if now < of.ends then
      return false
    end
    first, out, live, over = of.number + 1, out - of.granted, live - 1, over + of.granted
    return true
  end)
end
if over > 0 then
  local gone = {}
  pass(1, '(' .. first, function(of)
    if is_owed(of, late) then
      return false
    end
    gone[#gone + 1], over = of.id, over - of.granted
    return true
  end)
  drop(gone)
end
if known and now >= known.ends and not is_owed(known, late) then
  known = nil
end

-- Whether there is room for one more, after the oldest that is not out has gone.
local function make_room()
  if count < MOST then
    return true
  end
  local gone = redis.call('ZRANGEBYSCORE', KEYS[3], 1, '(' .. first, 'LIMIT', 0, 1)
  if gone[1] then
    local of = lease(gone[1], redis.call('HGET', KEYS[2], gone[1]))
    over = over - (of and of.granted or 0)
  else
    gone = redis.call('ZREVRANGEBYSCORE', KEYS[3], 0, '-inf', 'LIMIT', 0, 1)
  end
  drop(gone)
  return gone[1] ~= nil
end

local state = read(KEYS[1], ARGV[6])
local granted, lasts = 0, 0
if known then
  if known.fate == 'o' and now < known.ends then
    granted, lasts = known.granted, known.ends - now
  end
else
  local share = math.ceil(math.max(state.room, 0) / math.max(live + 1, 2))
  local half = math.ceil(math.max(cap - out, 0) / 2)
  local wanted = math.min(asked, share, half)
  if wanted > 0 and make_room() then
    lasts = math.min(life, (state.window_ends or now + life) - now)
    -- Its borrower would take a shorter one to be over before it had begun.
    if lasts <= GUARD then
      lasts = 0
    else
      granted = wanted
    end
  end
end

if granted > 0 and not known then
  if state.kind == 'l' then
    -- When there is room again depends on how much is taken.
    state = read(KEYS[1], ARGV[6], granted)
  end
  state.taken = granted
  number = number + 1
  local of = {
    number = number, granted = granted, debit = 'l', lent_at = now, ends = now + lasts, fate = 'o',
  }
  if state.kind == 'w' or state.window_ends then
    of.debit = string.format(state.kind == 'w' and 'w%d' or 'f%d', state[1])
  end
  if live == 0 then
    due = of.ends
  end
  out, live, count = out + granted, live + 1, count + 1
  redis.call('HSET', KEYS[2], id, packed(of))
  redis.call('ZADD', KEYS[3], number, id)
  -- What may be spent and what may come back has to fit under the cap.
  if of.debit == 'l' and over > 0 and out + over > cap then
    local gone = {}
    pass(1, '(' .. first, function(oldest)
      if out + over <= cap then
        return false
      end
      gone[#gone + 1], over = oldest.id, over - oldest.granted
      return true
    end)
    drop(gone)
  end
  -- Whatever is kept was lent before this, and lives no longer.
  local matters = math.max(late + 1, LONGEST_LIFE)
  redis.call('PEXPIRE', KEYS[2], matters)
  redis.call('PEXPIRE', KEYS[3], matters)
end
if count > 0 then
  redis.call('HSET', KEYS[2], 'sums', sums())
else
  redis.call('DEL', KEYS[2])
end

local answer = {now, granted, lasts, state.taken}
for n = 1, #state do
  answer[#answer + 1] = state[n]
end
if state.taken > 0 or state.set_back then
  write(state)
end
return answer
