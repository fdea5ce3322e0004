-- Takes back what was counted, for the scripts that this is put before. Follows core/limits; stands
-- behind limits.lua.

-- No entry of a log knows whose it is: the newest ones go.
local function shorten(key, cost, cut)
  while cost > 0 do
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
    local sum, count = string.match(last[1] or '', '^(%d+):(%d+)$')
    if not sum or last[2] + 0 <= cut then
      return
    end
    count = count + 0
    if count > cost then
      -- Before the other one goes: a key without entries is gone, and its end with it.
      redis.call('ZADD', key, last[2], string.format('%016d:%d', sum - cost, count - cost))
    end
    redis.call('ZREM', key, last[1])
    cost = cost - count
  end
end

local function give_back(state, cost)
  local kind, period = state.kind, state.period
  if kind == 'l' and not state.set_back and not state.is_alien then
    return shorten(state.key, cost, state.cut)
  end
  if kind == 'l' then
    state[1] = math.max(state[1] - cost, 0)
  elseif kind == 'b' then
    state[1] = math.min(state[1] + cost * period, state.full)
  elseif kind == 'g' then
    state.units = math.max(state.units - cost * period, 0)
  elseif kind == 'w' then
    local newest = math.min(cost, state[2])
    state[2] = state[2] - newest
    state[3] = math.max(state[3] - (cost - newest), 0)
  else
    state[2] = math.max(state[2] - cost, 0)
  end
  write(state)
end
