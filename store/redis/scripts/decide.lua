-- Decides on requests, one after the other: a circuit's admission, and any number of limits of any
-- algorithm. Of the binding limits of a request is taken from all or from none; of those that are
-- only tried out then, from those that have room. A request that may not pass writes nothing,
-- unless Redis' clock was set back. The circuit follows core/circuit, the limits limits.lua, which
-- stands before this. Requests that wait at the same time share a call: beginning one costs as
-- much as two or three decisions.
--
-- KEYS[…]      of each request the circuit's hash, if there is one (state, failures, lastFailure,
--              recoveryTime), and the limits' keys: the binding ones, then those that are only
--              tried out
-- ARGV[…]      of each request:
--   1          1 takes, 0 only looks
--   2          how long a probe is waited for, in ms; empty when there is no circuit
--   3          how many limits are binding
--   4          how many keys it has
--   5          how many arguments follow
--   6..        the limits' arguments, as limits.lua has them
--
-- Returns the answers one after the other: 2, now, retry_after_ms when the circuit refuses;
-- nothing was asked then. Else admission (0 pass, 1 probe), now, and for each limit how much was
-- taken from its key up to it, or -1 where it has no room, and what was kept before: as many
-- numbers as the algorithm has (a log: total, first time, time when there is room, newest time; in
-- flight: how many, the first one's end if it may matter, the last one's). Where a binding limit
-- has no room nothing is taken, whatever is said there.
-- Keys live as long as they can matter: an idle circuit an hour.
local answer = {}
local begins, at_key = 1, 1
while ARGV[begins] do
  local takes, probe_wait = ARGV[begins] == '1', ARGV[begins + 1]
  local circuit_key, first, after = KEYS[at_key], at_key, at_key + ARGV[begins + 3]
  local passes, admission, refused_until = true, 0, nil
  if probe_wait ~= '' then
    first = first + 1
    local circuit = redis.pcall('HMGET', circuit_key, 'state', 'recoveryTime')
    if circuit[1] == 'OPEN' or circuit[1] == 'HALF_OPEN' then
      local at = tonumber(circuit[2]) or 0
      if now < at then
        refused_until = at
      end
      admission = 1
    end
  end
  if refused_until then
    local n = #answer
    answer[n + 1], answer[n + 2], answer[n + 3] = 2, now, refused_until - now
  else
    answer[#answer + 1] = admission
    answer[#answer + 1] = now
    local states, seen = {}, {}
    local binding = first + ARGV[begins + 2]
    local a = begins + 5
    for k = first, after - 1 do
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
    if takes then
      for _, state in ipairs(states) do
        if passes and (state.taken > 0 or state.kind == 'i' and next(state.entered)) then
          write(state)
        elseif state.set_back then
          state.taken, state.entered = 0, {}
          write(state)
        end
      end
      if passes and admission == 1 then
        redis.call('HSET', circuit_key, 'state', 'HALF_OPEN', 'recoveryTime', now + probe_wait)
        redis.call('PEXPIRE', circuit_key, 3600000)
      end
    end
  end
  begins, at_key = begins + 5 + ARGV[begins + 4], after
end
return answer
