-- Gives out probes to a reporter. circuit.lua and reporter.lua stand before this.
--
-- KEYS         as these have them
-- ARGV[1]      the identity, ARGV[2] the Envoy, ARGV[3] the digit by which it is one of several
-- ARGV[4]      how many it has a use for
-- ARGV[5]      how many an interval has for all, ARGV[6] how long that is, in ms
-- ARGV[7]      1 where others go first, for an interval, whose last probe is not known to have come
--              through
--
-- Returns {probes, life_ms}.
local it = read(KEYS[1])
local wanted, most, interval = ARGV[4] + 0, ARGV[5] + 0, ARGV[6] + 0
if it.forced ~= '' or it.state == 'CLOSED' then
  return {0, 0}
end
local of, name = known(ARGV[1], ARGV[2], ARGV[3])
if not of then
  return {0, 0}
end
local waits = ARGV[7] == '1' and it.triedBy == ARGV[1] and interval or 0
if it.state == 'OPEN' then
  if it.recoveryTime - now > max(it.wait, interval) then
    it.recoveryTime = now + it.wait
    save(KEYS[1], it)
  end
  if now < it.recoveryTime + waits then
    return {0, 0}
  end
  it.state, it.recoveryTime = 'HALF_OPEN', now + interval
  it.probes, it.asked, it.successes = 0, 0, 0
elseif now >= it.recoveryTime then
  if now < it.recoveryTime + waits then
    return {0, 0}
  end
  it.recoveryTime, it.probes = now + interval, 0
elseif it.recoveryTime - now > 2 * interval then
  it.recoveryTime = now + interval
end
local probes = max(min(wanted, most - it.probes), 0)
if probes == 0 then
  return {0, 0}
end
it.probes, it.triedBy = it.probes + probes, ARGV[1]
save(KEYS[1], it)
local before = of[VERSION] == it.version and of[GRANTED] or 0
of[GRANTED], of[VERSION] = min(before + probes, 65535), it.version
keep(name, of)
return {probes, it.recoveryTime - now}
