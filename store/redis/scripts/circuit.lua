-- A shared circuit as it is kept, for the scripts that this is put before. Follows
-- core/circuit/src/gate.rs; whether reporters together say that a service fails is not worked out
-- here, but by core/circuit/src/fleet.rs on what is kept of them.
--
-- The circuit's key is a hash. `state` is CLOSED, OPEN or HALF_OPEN; `failures` those that were
-- reported since calls have last come through, `lastFailure` when that was; `recoveryTime` when a
-- probe may go, or HALF_OPEN, when the running interval of probes ends. And of our own:
--
--   wait        for how long it was opened
--   failed      how often in a row recovery has failed
--   probes      how many were given out in the running interval
--   asked       those that were let through with decisions, and of which nobody has heard
--   successes   probes that came through
--   version     grows with each opening and closing; what was given out before is nobody's
--   cleared     the version at which it was closed: what reporters said before counts no more
--   judged      when reporters were last asked what they say together
--   triedBy     the identity that was given the last probe and has not told that it came through
--   forced      an operator's word, OPEN or CLOSED, until forcedUntil
--
-- Times are Redis' own, in ms. It lives for an hour after the last write and after it has been
-- open, and as long as an operator's word holds. There is one key a service.
local call, try = redis.call, redis.pcall
local floor, max, min = math.floor, math.max, math.min
local time = call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
local IDLE = 3600000
local NUMBERS = {
  'failures', 'lastFailure', 'recoveryTime', 'wait', 'failed', 'probes', 'asked', 'successes',
  'version', 'cleared', 'judged', 'forcedUntil',
}

local function read(key)
  local stored = try('HMGET', key, 'state', 'triedBy', 'forced', unpack(NUMBERS))
  local it = {state = 'CLOSED', triedBy = stored[2] or '', forced = stored[3] or ''}
  if stored[1] == 'OPEN' or stored[1] == 'HALF_OPEN' then
    it.state = stored[1]
  end
  for at, name in ipairs(NUMBERS) do
    it[name] = tonumber(stored[at + 3]) or 0
  end
  if now >= it.forcedUntil then
    it.forced = ''
  end
  return it
end

local function save(key, it)
  local fields = {'state', it.state, 'triedBy', it.triedBy, 'forced', it.forced}
  for _, name in ipairs(NUMBERS) do
    fields[#fields + 1] = name
    fields[#fields + 1] = it[name]
  end
  call('HSET', key, unpack(fields))
  local matters = it.forced ~= '' and it.forcedUntil - now or 0
  if it.state == 'OPEN' then
    matters = max(matters, it.recoveryTime - now + IDLE)
  end
  call('PEXPIRE', key, max(IDLE, matters))
end

-- What answer.rs makes a standing of.
local function standing(it)
  return now, it.state, it.failures, it.lastFailure, it.recoveryTime, it.probes, it.forced,
    it.forcedUntil
end

local function open(it, at)
  it.state, it.recoveryTime, it.wait = 'OPEN', at, at - now
  it.probes, it.asked, it.successes = 0, 0, 0
  it.version = it.version + 1
end

-- As if it were new, but for an operator's word and when it has failed last.
local function close(it)
  local version = it.version + 1
  local forced_until, last_failure = it.forcedUntil, it.lastFailure
  for _, name in ipairs(NUMBERS) do
    it[name] = 0
  end
  it.state, it.triedBy, it.version, it.cleared = 'CLOSED', '', version, version
  it.forcedUntil, it.lastFailure = forced_until, last_failure
end
