-- How limits count, for the scripts that this is put before. Follows core/limits line by line:
-- `read` brings a key up to now, `write` writes what was taken. Each is one long function: Redis
-- makes every function anew for every call, and that is a good part of what a decision costs.
--
-- Time is Redis' own, in ms. Numbers are doubles, which hold every whole number up to 2^53.
-- core/limits chooses ticks so long that a product of counts and ticks is at most 2^52, and no
-- more than two of them are added here.
--
-- A limit's arguments in ARGV, from `a` on; P is its period in ticks, T a tick in ms:
--
--   w cost requests P T           sliding window   string: index current previous
--   f cost requests period_ms     fixed window     string: start count
--   h cost requests period_ms     the same, from its first hit
--   m cost requests period_ms     the same, by the calendar month; 31 days
--   b cost requests P T burst     token bucket     hash: tokens (in Pths) lastRefill (in ticks)
--   g cost requests P T burst     GCRA             string: tick part (of a tick, in requests)
--   l cost requests period_ms     sliding log      zset: time -> sum:cost, sum over all up to it
--   i id max life_ms              in flight        zset: when it ends -> id
--
-- Values that were not written here count as none. Each key lives as long as it can matter.
-- Cardinality: one key a caller and limit; a log has an entry a request, at most 10,000, and
-- slots in flight are at most 100,000.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A life in ms that is as good as none, and that Redis still takes: 30,000 years. A bucket that
-- holds much and fills slowly takes longer.
local LONGEST = 1e15

-- What is kept of a key, as of now: [1], [2], … as the caller is told; `room` for how many more;
-- `width` as many arguments as there are; `window_ends` when a fixed window does; `set_back` when
-- Redis' clock was, so that what was worked out of that has to be written, whatever is decided.
local function read(key, a)
  local kind, limit = ARGV[a], ARGV[a + 2] + 0
  if kind == 'w' then
    local period, tick = ARGV[a + 3] + 0, ARGV[a + 4] + 0
    local ticks = math.floor(now / tick)
    local index, over = math.floor(ticks / period), ticks % period
    local stored = redis.pcall('GET', key)
    local i, c, p, is_dated, set_back
    if type(stored) == 'string' then
      i, c, p = string.match(stored, '^(%d+) (%d+) (%d+)$')
    end
    if not i then
      i, c, p = index, 0, 0
    else
      i, c, p = i + 0, c + 0, p + 0
      if i == index then
        is_dated = true
      elseif i == index + 1 then
        over, is_dated = 0, true
      elseif i > index then
        i, c, p, set_back = index, math.min(c + p, limit), 0, true
      elseif i + 1 == index then
        i, c, p = index, 0, c
      else
        i, c, p = index, 0, 0
      end
    end
    local room = math.floor(((limit - c) * period - p * (period - over)) / period)
    return {
      i, c, p, kind = kind, key = key, width = 5, taken = 0, limit = limit, room = room,
      set_back = set_back,
      -- Written first when its window began, it has the end that it needs.
      ends = not is_dated and (i + 2) * period * tick,
    }
  end
  if kind == 'f' or kind == 'h' or kind == 'm' then
    local period = ARGV[a + 3] + 0
    local begins, first_day = now, nil
    if kind == 'f' then
      begins = now - now % period
    elseif kind == 'm' then
      -- The first day of a day's month, both counted since 1970-01-01; see calendar.rs.
      first_day = function(day)
        local floor = math.floor
        local of_era = (day + 719468) % 146097
        local leap_days = floor(of_era / 1460) - floor(of_era / 36524) + floor(of_era / 146096)
        local year = floor((of_era - leap_days) / 365)
        local of_year = of_era - (365 * year + floor(year / 4) - floor(year / 100))
        local month = floor((5 * of_year + 2) / 153)
        return day - (of_year - floor((153 * month + 2) / 5))
      end
      begins = first_day(math.floor(now / 86400000)) * 86400000
    end
    local stored = redis.pcall('GET', key)
    local start, count, set_back
    if type(stored) == 'string' then
      start, count = string.match(stored, '^(%d+) (%d+)$')
    end
    local is_dated = start ~= nil
    start, count = (start or begins) + 0, (count or 0) + 0
    local ends = start + period
    if first_day then
      ends = first_day(first_day(math.floor(start / 86400000)) + 31) * 86400000
    end
    if count == 0 or ends <= now then
      start, count, is_dated = begins, 0, false
    elseif start - now > period then
      start, set_back, is_dated = begins, true, false
    end
    if not is_dated then
      ends = start + period
      if first_day then
        ends = first_day(first_day(math.floor(start / 86400000)) + 31) * 86400000
      end
    end
    return {
      start, count, kind = kind, key = key, width = 4, taken = 0, limit = limit,
      room = limit - count, set_back = set_back, ends = not is_dated and ends,
      window_ends = ends,
    }
  end
  if kind == 'b' then
    local period, tick, burst = ARGV[a + 3] + 0, ARGV[a + 4] + 0, ARGV[a + 5] + 0
    local ticks, full = math.floor(now / tick), burst * period
    local stored = redis.pcall('HMGET', key, 'tokens', 'lastRefill')
    local level = string.match(stored[1] or '', '^%d+$')
    local last = string.match(stored[2] or '', '^%d+$')
    local set_back
    if level and last then
      last = last + 0
      local gained = math.max(ticks - last, 0) * limit
      level = math.min(math.min(level + 0, full) + gained, full)
      -- Behind by no more than a period, time stands still.
      if last - ticks > period then
        last, set_back = ticks, true
      elseif last < ticks then
        last = ticks
      end
    else
      level, last = full, ticks
    end
    return {
      level, last, kind = kind, key = key, width = 6, taken = 0, room = math.floor(level / period),
      set_back = set_back, is_alien = stored.err, period = period, full = full, limit = limit,
      tick = tick,
    }
  end
  if kind == 'g' then
    local period, tick, burst = ARGV[a + 3] + 0, ARGV[a + 4] + 0, ARGV[a + 5] + 0
    local ticks, full = math.floor(now / tick), burst * period
    local stored = redis.pcall('GET', key)
    local at, part, set_back
    if type(stored) == 'string' then
      at, part = string.match(stored, '^(%d+) (%d+)$')
    end
    at, part = (at or ticks) + 0, (part or 0) + 0
    local units = 0
    if at - ticks > math.ceil(full / limit) + period then
      units, set_back = full, true
      at, part = ticks + math.floor(units / limit), units % limit
    elseif at >= ticks then
      units = (at - ticks) * limit + math.min(part, limit)
    end
    return {
      at, part, kind = kind, key = key, width = 6, taken = 0, set_back = set_back,
      room = math.floor((full - units) / period), units = units, ticks = ticks, period = period,
      limit = limit, tick = tick,
    }
  end
  if kind == 'l' then
    -- The one entry that a range has: when, the sum up to it, its own count; none when there is
    -- none, or when somebody else wrote it.
    local function entry(range)
      local sum, count = string.match(range[1] or '', '^(%d+):(%d+)$')
      if sum then
        return range[2] + 0, sum + 0, count + 0
      end
    end
    local period = ARGV[a + 3] + 0
    local cut = now - period
    local stored = redis.pcall('ZRANGE', key, -1, -1, 'WITHSCORES')
    local newest, sum = entry(stored)
    local state = {
      0, 0, 0, 0, kind = kind, key = key, width = 4, taken = 0, limit = limit, room = limit,
      sum = sum or 0,
      is_alien = stored.err or (stored[1] and not newest), period = period, cut = cut,
      newest = math.max(newest or 0, now),
    }
    if not newest or newest <= cut then
      return state
    end
    local first = redis.call('ZRANGEBYSCORE', key, '(' .. cut, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    local at, first_sum, count = entry(first)
    if not at then
      state.is_alien = true
      return state
    end
    local total = sum - first_sum + count
    state.room = limit - total
    if newest - now > period then
      -- All that counts counts as of now.
      state.set_back, state.newest = true, now
      state[1], state[2], state[3], state[4] = total, now, now, now
      return state
    end
    state[1], state[2], state[3], state[4] = total, at, at, newest
    -- How many have to leave before as much fits again as is asked for now.
    local cost = ARGV[a + 1] + 0
    local too_many = total + math.max(math.min(cost, limit), 1) - limit
    if cost <= state.room then
      too_many = too_many + cost
    end
    local target = first_sum - count + math.min(too_many, total)
    if target > first_sum then
      local ended = redis.call('ZCOUNT', key, '-inf', cut)
      -- Every entry counts at least 1.
      local low, high = ended + 1, math.min(ended + too_many, redis.call('ZCARD', key)) - 1
      while low < high do
        local middle = math.floor((low + high) / 2)
        local _, reached = entry(redis.call('ZRANGE', key, middle, middle, 'WITHSCORES'))
        if reached and reached < target then
          low = middle + 1
        else
          high = middle
        end
      end
      state[3] = entry(redis.call('ZRANGE', key, low, low, 'WITHSCORES')) or at
    end
    return state
  end
  -- In flight.
  local life = ARGV[a + 3] + 0
  local last = redis.pcall('ZRANGE', key, -1, -1, 'WITHSCORES')
  local state = {
    0, 0, 0, kind = kind, key = key, width = 4, taken = 0, limit = limit, room = limit,
    ends = now + life,
    is_alien = last.err, entered = {},
  }
  local last_ends = (last[2] or 0) + 0
  if last_ends > now then
    local live = redis.call('ZCOUNT', key, '(' .. now, '+inf')
    state.room = limit - live
    -- No slot outlives its life because the clock was set back.
    state.set_back = last_ends > state.ends
    state[1], state[3] = live, math.min(last_ends, state.ends)
    if state.room <= 1 then
      local cut = '(' .. now
      local first = redis.call('ZRANGEBYSCORE', key, cut, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      state[2] = math.min(first[2] + 0, state.ends)
    end
  end
  return state
end

-- Writes a key with what was taken of it.
local function write(state)
  local key, kind = state.key, state.kind
  if kind == 'b' then
    local level = state[1] - state.taken * state.period
    local missing = state.full - level
    if state.is_alien or missing == 0 then
      redis.call('DEL', key)
    end
    if missing > 0 then
      redis.call('HSET', key, 'tokens', level, 'lastRefill', state[2])
      local ends = (state[2] + math.ceil(missing / state.limit)) * state.tick
      redis.call('PEXPIRE', key, math.min(ends - now, LONGEST))
    end
  elseif kind == 'g' then
    local units = state.units + state.taken * state.period
    if units == 0 then
      redis.call('DEL', key)
    else
      local at, part = state.ticks + math.floor(units / state.limit), units % state.limit
      local ends = (at + math.min(part, 1)) * state.tick
      redis.call('SET', key, string.format('%d %d', at, part), 'PX', math.min(ends - now, LONGEST))
    end
  elseif kind == 'l' then
    local count = state.taken
    if state.set_back or state.is_alien then
      count = count + state[1]
      state.sum = 0
      redis.call('DEL', key)
    else
      redis.call('ZREMRANGEBYSCORE', key, '-inf', state.cut)
    end
    if count > 0 then
      redis.call('ZADD', key, state.newest, string.format('%016d:%d', state.sum + count, count))
      redis.call('PEXPIRE', key, state.newest + state.period - now)
    end
  elseif kind == 'i' then
    if state.is_alien then
      redis.call('DEL', key)
    else
      redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    end
    if state.set_back then
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. state.ends, '+inf')) do
        redis.call('ZADD', key, state.ends, id)
      end
    end
    for id in pairs(state.entered) do
      redis.call('ZADD', key, state.ends, id)
    end
    redis.call('PEXPIRE', key, state.ends - now)
  else
    local current, value = state[2] + state.taken, nil
    if kind == 'w' and current + state[3] > 0 then
      value = string.format('%d %d %d', state[1], current, state[3])
    elseif kind ~= 'w' and current > 0 then
      value = string.format('%d %d', state[1], current)
    end
    if not value then
      redis.call('DEL', key)
    elseif state.ends then
      redis.call('SET', key, value, 'PX', state.ends - now)
    else
      redis.call('SET', key, value, 'KEEPTTL')
    end
  end
end
