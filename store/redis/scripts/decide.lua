-- Decides on requests, one after the other: a circuit's admission, and any number of limits of any
-- algorithm. Of the binding limits of a request is taken from all or from none; of those that are
-- only tried out then, from those that have room. A request that may not pass writes nothing,
-- unless Redis' clock was set back. The circuit follows circuit.lua and core/circuit/src/gate.rs,
-- the limits limits.lua, which stands before this. Requests that wait at the same time share a
-- call: beginning one costs as much as two or three decisions.
--
-- KEYS[…]      of each request the circuit's hash, if there is one, as circuit.lua has it, and the
--              limits' keys: the binding ones, then those that are only tried out
-- ARGV[…]      of each request 16 bytes, of each number the highest first, and then its limits, as
--              limits.lua has them:
--   1 byte     1 takes, else only looks; 2 there is a circuit; 4 a key is there twice
--   5          how long an interval of probes is, in ms
--   2          how many of them it has
--   4          how many limits are binding
--   4          how many keys it has
--
-- Returns the answers one after the other: 2, now, retry_after_ms when the circuit refuses;
-- nothing was asked then. Else admission (0 pass, 1 probe), now, and for each limit how much was
-- taken from its key up to it, or -1 where it has no room, and what was kept before: as many
-- numbers as the algorithm has (a log: total, first time, time when there is room, newest time; in
-- flight: how many, the first one's end if it may matter, the last one's). Where a binding limit
-- has no room nothing is taken, whatever is said there.
-- Keys live as long as they can matter: an idle circuit an hour.
local sub = string.sub
local answer = {}
local begins, at_key = 1, 1
local n, states = 0, {}
while ARGV[begins] do
  local flags, interval, most, binding, keys = unpack_numbers('>BI5I2I4I4', ARGV[begins])
  local takes, first, after = flags % 2 == 1, at_key, at_key + keys
  local passes, admission, refused_until = true, 0, nil
  local probes, asked, ends
  if flags % 4 >= 2 then
    first = first + 1
    local circuit = try('HMGET', KEYS[at_key], 'state', 'recoveryTime', 'wait', 'probes', 'asked',
      'forced', 'forcedUntil')
    local forced, holds_until = circuit[6], tonumber(circuit[7]) or 0
    if forced and forced ~= '' and now < holds_until then
      if forced == 'OPEN' then
        refused_until = holds_until
      end
    elseif circuit[1] == 'OPEN' or circuit[1] == 'HALF_OPEN' then
      local at, set_back = tonumber(circuit[2]) or 0, nil
      probes, asked, ends = 0, 0, now + interval
      if circuit[1] == 'OPEN' then
        local wait = tonumber(circuit[3]) or 0
        if at - now > max(wait, interval) then
          at, set_back = now + wait, true
        end
        if now < at then
          refused_until = at
        end
      else
        asked = tonumber(circuit[5]) or 0
        if now < at then
          probes, ends = tonumber(circuit[4]) or 0, at
          if at - now > 2 * interval then
            ends, set_back = now + interval, true
          end
          if probes >= most then
            refused_until = ends
          end
        end
      end
      if refused_until and set_back and takes then
        call('HSET', KEYS[at_key], 'recoveryTime', refused_until)
      end
      admission = 1
    end
  end
  if refused_until then
    answer[n + 1], answer[n + 2], answer[n + 3] = 2, now, refused_until - now
    n = n + 3
  else
    answer[n + 1], answer[n + 2] = admission, now
    n = n + 2
    local seen, count = flags >= 4 and {}, 0
    binding = first + binding
    local a = begins + 1 - first
    for k = first, after - 1 do
      local key = KEYS[k]
      local packed = ARGV[a + k]
      local state, cost = seen and seen[key], nil
      if not state or state.kind ~= sub(packed, 1, 1) then
        state, cost = read(key, packed)
        if seen then
          seen[key] = state
        end
        count = count + 1
        states[count] = state
      else
        local _, again, limit = unpack_numbers('>c1I7I7', packed)
        cost = again
        if state.kind ~= 'b' and state.kind ~= 'g' then
          -- Maybe by a larger or smaller limit.
          state.room, state.limit = state.room + limit - state.limit, limit
        end
      end
      local allowed
      if state.kind == 'i' then
        local id = sub(packed, 37)
        local holds = state.entered[id]
        if holds == nil then
          holds = not state.is_alien and call('ZSCORE', key, id)
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
        allowed = cost == 0 or cost <= state.room
        if allowed then
          state.room = state.room - cost
          state.taken = state.taken + cost
        end
      end
      if not allowed and k < binding then
        passes = false
      end
      n = n + 1
      answer[n] = allowed and state.taken or -1
      for at = 1, #state do
        answer[n + at] = state[at]
      end
      n = n + #state
    end
    if takes then
      for at = 1, count do
        local state = states[at]
        if passes and (state.taken > 0 or state.kind == 'i' and next(state.entered)) then
          write(state)
        elseif state.set_back then
          state.taken, state.entered = 0, {}
          write(state)
        end
      end
      if passes and admission == 1 then
        call('HSET', KEYS[at_key], 'state', 'HALF_OPEN', 'recoveryTime', ends, 'probes', probes + 1,
          'asked', asked + 1, 'triedBy', '')
        call('PEXPIRE', KEYS[at_key], 3600000)
      end
    end
  end
  begins, at_key = begins + 1 + after - first, after
end
return answer
