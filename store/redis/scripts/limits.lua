-- How limits count, for the scripts that this is put before. Follows core/limits line by line:
-- `read` brings a key up to now, `write` writes what was taken. Each is one long function: Redis
-- makes every function anew for every call, and that is a good part of what a decision costs.
--
-- Time is Redis' own, in ms. Numbers are doubles, which hold every whole number up to 2^53.
-- core/limits chooses ticks so long that a product of counts and ticks is at most 2^52, and no
-- more than two of them are added here.
--
-- A limit is one argument: a letter and five numbers of 7 bytes, the highest first, because
-- taking texts apart is a good part of what a decision costs, too. P is its period in ticks, T a
-- tick in ms; a number that is not there is 0:
--
--   w cost requests P T           sliding window   string: index current previous, packed alike
--   f cost requests period_ms     fixed window     string: start count, packed alike
--   h cost requests period_ms     the same, from its first hit
--   m cost requests period_ms     the same, by the calendar month; 31 days
--   b cost requests P T burst     token bucket     hash: tokens (in Pths) lastRefill (in ticks)
--   g cost requests P T burst     GCRA             string: tick part (of a tick, in requests),
--                                                  packed alike
--   l cost requests period_ms     sliding log      zset: time -> sum:cost, sum over all up to it
--   i 1 max life_ms               in flight        zset: when it ends -> id; the id stands behind
--                                                  the numbers
--
-- Values that were not written here count as none. Each key lives as long as it can matter.
-- Cardinality: one key a caller and limit; a log has an entry a request, at most 10,000, and
-- slots in flight are at most 100,000.
local call, try = redis.call, redis.pcall
local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max
local pack, unpack_numbers = struct.pack, struct.unpack
local time = call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
-- A life in ms that is as good as none, and that Redis still takes: 30,000 years. A bucket that
-- holds much and fills slowly takes longer.
local LONGEST = 1e15

-- What is kept of a key, as of now: [1], [2], … as the caller is told; `room` for how many more;
-- `window_ends` when a fixed window does; `set_back` when Redis' clock was, so that what was
-- worked out of that has to be written, whatever is decided. And the cost, which is `instead` where
-- that is given.
local function read(key, packed, instead)
  local kind, cost, limit, period, tick, burst = unpack_numbers('>c1I7I7I7I7I7', packed)
  cost = instead or cost
  if kind == 'w' then
    local ticks = floor(now / tick)
    local index, over = floor(ticks / period), ticks % period
    local stored = try('GET', key)
    local i, c, p, is_dated, set_back
    if type(stored) == 'string' and #stored == 21 then
      i, c, p = unpack_numbers('>I7I7I7', stored)
    end
    if not i then
      i, c, p = index, 0, 0
    else
      if i == index then
        is_dated = true
      elseif i == index + 1 then
        over, is_dated = 0, true
      elseif i > index then
        i, c, p, set_back = index, min(c + p, limit), 0, true
      elseif i + 1 == index then
        i, c, p = index, 0, c
      else
        i, c, p = index, 0, 0
      end
    end
    local room = floor(((limit - c) * period - p * (period - over)) / period)
    return {
      i, c, p, kind = kind, key = key, taken = 0, limit = limit, room = room,
      set_back = set_back,
      -- Written first when its window began, it has the end that it needs.
      ends = not is_dated and (i + 2) * period * tick,
    }, cost
  end
  if kind == 'f' or kind == 'h' or kind == 'm' then
    local begins, first_day = now, nil
    if kind == 'f' then
      begins = now - now % period
    elseif kind == 'm' then
      -- The first day of a day's month, both counted since 1970-01-01; see calendar.rs.
      first_day = function(day)
        local of_era = (day + 719468) % 146097
        local leap_days = floor(of_era / 1460) - floor(of_era / 36524) + floor(of_era / 146096)
        local year = floor((of_era - leap_days) / 365)
        local of_year = of_era - (365 * year + floor(year / 4) - floor(year / 100))
        local month = floor((5 * of_year + 2) / 153)
        return day - (of_year - floor((153 * month + 2) / 5))
      end
      begins = first_day(floor(now / 86400000)) * 86400000
    end
    local stored = try('GET', key)
    local start, count, set_back
    if type(stored) == 'string' and #stored == 14 then
      start, count = unpack_numbers('>I7I7', stored)
    end
    local is_dated = start ~= nil
    start, count = start or begins, count or 0
    local ends = start + period
    if first_day then
      ends = first_day(first_day(floor(start / 86400000)) + 31) * 86400000
    end
    if count == 0 or ends <= now then
      start, count, is_dated = begins, 0, false
    elseif start - now > period then
      start, set_back, is_dated = begins, true, false
    end
    if not is_dated then
      ends = start + period
      if first_day then
        ends = first_day(first_day(floor(start / 86400000)) + 31) * 86400000
      end
    end
    return {
      start, count, kind = kind, key = key, taken = 0, limit = limit,
      room = limit - count, set_back = set_back, ends = not is_dated and ends,
      window_ends = ends,
    }, cost
  end
  if kind == 'b' then
    local ticks, full = floor(now / tick), burst * period
    local stored = try('HMGET', key, 'tokens', 'lastRefill')
    local level = string.match(stored[1] or '', '^%d+$')
    local last = string.match(stored[2] or '', '^%d+$')
    local set_back
    if level and last then
      last = last + 0
      local gained = max(ticks - last, 0) * limit
      level = min(min(level + 0, full) + gained, full)
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
      level, last, kind = kind, key = key, taken = 0, room = floor(level / period),
      set_back = set_back, is_alien = stored.err, period = period, full = full, limit = limit,
      tick = tick,
    }, cost
  end
  if kind == 'g' then
    local ticks, full = floor(now / tick), burst * period
    local stored = try('GET', key)
    local at, part, set_back
    if type(stored) == 'string' and #stored == 14 then
      at, part = unpack_numbers('>I7I7', stored)
    end
    at, part = at or ticks, part or 0
    local units = 0
    if at - ticks > ceil(full / limit) + period then
      units, set_back = full, true
      at, part = ticks + floor(units / limit), units % limit
    elseif at >= ticks then
      units = (at - ticks) * limit + min(part, limit)
    end
    return {
      at, part, kind = kind, key = key, taken = 0, set_back = set_back,
      room = floor((full - units) / period), units = units, ticks = ticks, period = period,
      limit = limit, tick = tick,
    }, cost
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
    local cut = now - period
    local stored = try('ZRANGE', key, -1, -1, 'WITHSCORES')
    local newest, sum = entry(stored)
    local state = {
      0, 0, 0, 0, kind = kind, key = key, taken = 0, limit = limit, room = limit,
      sum = sum or 0,
      is_alien = stored.err or (stored[1] and not newest), period = period, cut = cut,
      newest = max(newest or 0, now),
    }
    if not newest or newest <= cut then
      return state, cost
    end
    local first = call('ZRANGEBYSCORE', key, '(' .. cut, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    local at, first_sum, count = entry(first)
    if not at then
      state.is_alien = true
      return state, cost
    end
    local total = sum - first_sum + count
    state.room = limit - total
    if newest - now > period then
      -- All that counts counts as of now.
      state.set_back, state.newest = true, now
      state[1], state[2], state[3], state[4] = total, now, now, now
      return state, cost
    end
    state[1], state[2], state[3], state[4] = total, at, at, newest
    -- How many have to leave before as much fits again as is asked for now.
    local too_many = total + max(min(cost, limit), 1) - limit
    if cost <= state.room then
      too_many = too_many + cost
    end
    local target = first_sum - count + min(too_many, total)
    if target > first_sum then
      local ended = call('ZCOUNT', key, '-inf', cut)
      -- Every entry counts at least 1.
      local low, high = ended + 1, min(ended + too_many, call('ZCARD', key)) - 1
      while low < high do
        local middle = floor((low + high) / 2)
        local _, reached = entry(call('ZRANGE', key, middle, middle, 'WITHSCORES'))
        if reached and reached < target then
          low = middle + 1
        else
          high = middle
        end
      end
      state[3] = entry(call('ZRANGE', key, low, low, 'WITHSCORES')) or at
    end
    return state, cost
  end
  -- In flight.
  local life = period
  local last = try('ZRANGE', key, -1, -1, 'WITHSCORES')
  local state = {
    0, 0, 0, kind = kind, key = key, taken = 0, limit = limit, room = limit,
    ends = now + life,
    is_alien = last.err, entered = {},
  }
  local last_ends = (last[2] or 0) + 0
  if last_ends > now then
    local live = call('ZCOUNT', key, '(' .. now, '+inf')
    state.room = limit - live
    -- No slot outlives its life because the clock was set back.
    state.set_back = last_ends > state.ends
    state[1], state[3] = live, min(last_ends, state.ends)
    if state.room <= 1 then
      local cut = '(' .. now
      local first = call('ZRANGEBYSCORE', key, cut, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      state[2] = min(first[2] + 0, state.ends)
    end
  end
  return state, cost
end

-- Writes a key with what was taken of it.
local function write(state)
  local key, kind = state.key, state.kind
  if kind == 'b' then
    local level = state[1] - state.taken * state.period
    local missing = state.full - level
    if state.is_alien or missing == 0 then
      call('DEL', key)
    end
    if missing > 0 then
      call('HSET', key, 'tokens', level, 'lastRefill', state[2])
      local ends = (state[2] + ceil(missing / state.limit)) * state.tick
      call('PEXPIRE', key, min(ends - now, LONGEST))
    end
  elseif kind == 'g' then
    local units = state.units + state.taken * state.period
    if units == 0 then
      call('DEL', key)
    else
      local at, part = state.ticks + floor(units / state.limit), units % state.limit
      local ends = (at + min(part, 1)) * state.tick
      call('SET', key, pack('>I7I7', at, part), 'PX', min(ends - now, LONGEST))
    end
  elseif kind == 'l' then
    local count = state.taken
    if state.set_back or state.is_alien then
      count = count + state[1]
      state.sum = 0
      call('DEL', key)
    else
      call('ZREMRANGEBYSCORE', key, '-inf', state.cut)
    end
    if count > 0 then
      call('ZADD', key, state.newest, string.format('%016d:%d', state.sum + count, count))
      call('PEXPIRE', key, state.newest + state.period - now)
    end
  elseif kind == 'i' then
    if state.is_alien then
      call('DEL', key)
    else
      call('ZREMRANGEBYSCORE', key, '-inf', now)
    end
    if state.set_back then
      for _, id in ipairs(call('ZRANGEBYSCORE', key, '(' .. state.ends, '+inf')) do
        call('ZADD', key, state.ends, id)
      end
    end
    for id in pairs(state.entered) do
      call('ZADD', key, state.ends, id)
    end
    call('PEXPIRE', key, state.ends - now)
  else
    local current, value = state[2] + state.taken, nil
    if kind == 'w' and current + state[3] > 0 then
      value = pack('>I7I7I7', state[1], current, state[3])
    elseif kind ~= 'w' and current > 0 then
      value = pack('>I7I7', state[1], current)
    end
    if not value then
      call('DEL', key)
    elseif state.ends then
      call('SET', key, value, 'PX', state.ends - now)
    else
      -- As long as it was, and with the end that it has. A text for the place: Redis would have
      -- to make one of a number.
      call('SETRANGE', key, '0', value)
    end
  end
end
