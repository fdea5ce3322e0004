-- The leases of one key, for the scripts that this is put before; stands behind limits.lua.
-- Decides as core/leases/src/ledger.rs does, which goes through all of them. Here their sums are
-- kept, so that a call costs the same however many there are: leases leave the sums in the order
-- in which they were lent, which is that in which they end. Where it is not, because the document
-- has changed how long they live or Redis' clock was set back, one that ends early counts as out
-- until those before it have ended.
--
-- KEYS[1]  the limit's key
-- KEYS[2]  a hash: the id of a lease -> number granted debit lent_at ends fate; sums -> latest
--          number first due out live over
-- KEYS[3]  a sorted set: of an open lease its number -> id, of one that was returned -ends -> id
--
-- Of a lease: `number` counts leases. `debit` is w and the index of a sliding window, f and the
-- start of a fixed one, l for a level or a log, x where it is lost. `fate` is o, open, or r,
-- returned; one that was forfeited is gone. Of the sums: `latest` is the last time that was seen;
-- `number` that of the newest lease. From number `first` on open leases are out, and none of them
-- ends before `due`: `out` together, `live` of them. `over` is what has ended and could still
-- come back. Times are in ms.
--
-- Both keys live as long as a lease can matter, one minute to ten, and hold MOST leases at most.
local JITTER, GUARD, MOST, LONGEST_LIFE = 1000, 250, 1024, 60000
local latest, number, first, due, out, live, over = now, 0, 1, 0, 0, 0, 0

-- Whether there are sums.
local function read_sums(stored)
  local pattern = '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$'
  local t, n, f, d, o, l, v = string.match(stored or '', pattern)
  if t then
    latest, number, first, due, out, live, over = t + 0, n + 0, f + 0, d + 0, o + 0, l + 0, v + 0
  end
  return t
end

local function sums()
  local format = '%d %d %d %d %d %d %d'
  return string.format(format, latest, number, first, due, out, live, over)
end

-- A lease as it is kept; none where it is not one.
local function lease(id, stored)
  local pattern = '^(%d+) (%d+) ([wflx]%d*) (%d+) (%d+) ([or])$'
  local n, granted, debit, lent_at, ends, fate = string.match(stored or '', pattern)
  if n then
    return {
      id = id, number = n + 0, granted = granted + 0, debit = debit, lent_at = lent_at + 0,
      ends = ends + 0, fate = fate,
    }
  end
end

local function packed(of)
  local format, debit = '%d %d %s %d %d %s', of.debit
  return string.format(format, of.number, of.granted, debit, of.lent_at, of.ends, of.fate)
end

local function is_owed(of, late)
  return of.fate == 'o' and now - of.lent_at <= late
end

-- The time to go by. After a real step back every lease keeps what it had left when the clock was
-- last seen. Says whether that was so.
local function settle()
  local back = latest - now
  if back > 0 and back <= JITTER then
    now = latest
    return false
  end
  latest = now
  if back <= 0 then
    return false
  end
  due = math.max(due - back, 0)
  local all = redis.call('HGETALL', KEYS[2])
  for at = 1, #all, 2 do
    local of = lease(all[at], all[at + 1])
    if of then
      of.ends, of.lent_at = math.max(of.ends - back, 0), math.max(of.lent_at - back, 0)
      if of.debit ~= 'l' then
        of.debit = 'x'
      end
      redis.call('HSET', KEYS[2], of.id, packed(of))
      if of.fate == 'r' then
        redis.call('ZADD', KEYS[3], -of.ends, of.id)
      end
    end
  end
  return true
end
