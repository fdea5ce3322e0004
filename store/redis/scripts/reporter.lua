-- What is kept of those who report of one service, for the scripts that this is put before; stands
-- behind circuit.lua.
--
-- KEYS[2]  a hash: a reporter -> RECORD; an identity -> how many reporters it has of its own
-- KEYS[3]  a sorted set: when it was last heard of -> a reporter
--
-- A reporter is the hash of an identity and that of an Envoy, 16 digits each; or, of an identity
-- that has OWN of these, the hash and one digit: those stand for all of its other Envoys.
--
-- RECORD is packed, of each number the highest byte first: the number of the last report and 1 (7
-- bytes; 0 for none), when it was heard of, and when it had calls (7 each), failures in a row then,
-- the circuit's `cleared` (4 each), the circuit's `version` at which it was given probes (4), how
-- many of them it has told nothing of, how long a slot of its window is, in ms (2 each), the newest
-- slot by its number since 1970 (7); and of ten slots, the newest first, calls, failures and slow
-- ones (3 each). Windows follow core/circuit/src/window.rs.
--
-- Both keys live a minute longer than a window. There are MOST reporters of a service at most.
local OWN, MOST, MAX_CALLS, SLOTS = 8, 1024, 16777215, 10
local RECORD = '>I7I7I7I4I4I4I2I2I7' .. string.rep('I3', 3 * SLOTS)
local BYTES = 44 + 9 * SLOTS
local NUMBER, HEARD, CALLED, RUN, CLEARED = 1, 2, 3, 4, 5
local VERSION, GRANTED, SLOT_MS, NEWEST, FIRST = 6, 7, 8, 9, 10
local LAST = NEWEST + 3 * SLOTS

-- A reporter's record; none where there is none.
local function record(name)
  local stored = call('HGET', KEYS[2], name)
  if stored and #stored == BYTES then
    return {struct.unpack(RECORD, stored)}
  end
end

local function keep(name, it)
  call('HSET', KEYS[2], name, struct.pack(RECORD, unpack(it, 1, LAST)))
end

local function own_of(peer)
  return tonumber(call('HGET', KEYS[2], peer)) or 0
end

local function forget(names)
  for _, gone in ipairs(names) do
    call('HDEL', KEYS[2], gone)
    call('ZREM', KEYS[3], gone)
    if #gone == 32 then
      local peer = string.sub(gone, 1, 16)
      local left = own_of(peer) - 1
      if left > 0 then
        call('HSET', KEYS[2], peer, left)
      else
        call('HDEL', KEYS[2], peer)
      end
    end
  end
end

-- Whoever stands for an Envoy, and whether it shares that with others.
local function known(peer, envoy, shared)
  local it = record(peer .. envoy)
  if it then
    return it, peer .. envoy, false
  end
  return record(peer .. shared), peer .. shared, true
end
