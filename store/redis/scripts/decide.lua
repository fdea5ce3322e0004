-- Decides on one request: a circuit's admission, and any number of limits of any algorithm. Of
-- the binding limits is taken from all or from none; of those that are only tried out then, from
-- those that have room. A request that may not pass writes nothing, unless Redis' clock was set
-- back. The circuit follows core/circuit, the limits limits.lua, which stands before this.
--
-- KEYS[1]      the circuit's hash, if there is one: state, failures, lastFailure, recoveryTime
-- KEYS[…]      the limits' keys: the binding ones, then those that are only tried out
-- ARGV[1]      1 takes, 0 only looks
-- ARGV[2]      how long a probe is waited for, in ms; empty when KEYS has no circuit
-- ARGV[3]      how many limits are binding
-- ARGV[4..]    the limits' arguments, as limits.lua has them
--
-- Returns {2, now, retry_after_ms} when the circuit refuses; nothing was asked then. Else
-- {admission, now, …} with 0 pass, 1 probe, and for each limit how much was taken from its key up
-- to it, or -1 where it has no room, and what was kept before: as many numbers as the algorithm
-- has (a log: total, first time, time when there is room, newest time; in flight: how many, the
-- first one's end if it may matter, the last one's). Where a binding limit has no room nothing is
-- taken, whatever is said there.
-- Keys live as long as they can matter: an idle circuit an hour.
local passes, first, admission = true, 1, 0
if ARGV[2] ~= '' then
  first = 2
  local circuit = redis.pcall('HMGET', KEYS[1], 'state', 'recoveryTime')
  if circuit[1] == 'OPEN' or circuit[1] == 'HALF_OPEN' then
    local at = tonumber(circuit[2]) or 0
    if now < at then
      return {2, now, at - now}
    end
    admission = 1
  end
end

local answer = {admission, now}
local states, seen = {}, {}
local binding = first + ARGV[3]
local a = 4
for k = first, #KEYS do
  local key = KEYS[k]
  local state = seen[key]
  if not state or state.kind ~= ARGV[a] then
    state = read(key, a)
    seen[key] = state
    states[#states + 1] = state
  elseif state.kind ~= 'b' and state.kind ~= 'g' then
    -- The same key again, maybe by a larger or smaller limit.
    local limit = ARGV[a + 2] + 0
    state.room, state.limit = state.room + limit - state.limit, limit
  end
  local allowed
  if state.kind == 'i' then
    local id = ARGV[a + 1]
    local holds = state.entered[id]
    if holds == nil then
      holds = not state.is_alien and redis.call('ZSCORE', key, id)
      holds = holds and holds + 0 > now
    end
    allowed = holds or state.room >= 1
    if allowed then
      if not holds then
        state.room = state.room - 1
        state.taken = state.taken + 1
      end
      state.entered[id] = true
    end
  else
    local cost = ARGV[a + 1] + 0
    allowed = cost == 0 or cost <= state.room
    if allowed then
      state.room = state.room - cost
      state.taken = state.taken + cost
    end
  end
  if not allowed and k < binding then
    passes = false
  end
  answer[#answer + 1] = allowed and state.taken or -1
  for n = 1, #state do
    answer[#answer + 1] = state[n]
  end
  a = a + state.width
end

if ARGV[1] == '1' then
  for _, state in ipairs(states) do
    if passes and (state.taken > 0 or state.kind == 'i' and next(state.entered)) then
      write(state)
    elseif state.set_back then
      state.taken, state.entered = 0, {}
      write(state)
    end
  end
  if passes and admission == 1 then
    redis.call('HSET', KEYS[1], 'state', 'HALF_OPEN', 'recoveryTime', now + ARGV[2])
    redis.call('PEXPIRE', KEYS[1], 3600000)
  end
end
return answer
