-- Takes a report. circuit.lua and reporter.lua stand before this.
--
-- KEYS         as these have them
-- ARGV[1]      the identity, ARGV[2] the Envoy, ARGV[3] the digit by which it is one of several
-- ARGV[4]      the report's number; empty where it has none
-- ARGV[5]      calls, ARGV[6] failures, ARGV[7] slow ones, ARGV[8] failures in a row
-- ARGV[9]      probes that came through, ARGV[10] probes that failed
-- ARGV[11]     1: of those that were let through with decisions; 0: that it was given itself
-- ARGV[12]     how long a slot is, ARGV[13] a window, ARGV[14] an interval of probes, in ms
-- ARGV[15]     how many probes have to come through
-- ARGV[16]     the first recovery, ARGV[17] the longest, in ms, ARGV[18] by how many millionths
--              either is longer or shorter
-- ARGV[19]     a random number below 65536
--
-- Returns {moved, judge, version, cleared, reporters, …}: 1 where a failed probe has opened it
-- again, 2 where it has closed, else 0; 1 where reporters should be asked what they say together;
-- and how it stands. Where many report they are asked the less often: each reads what all have
-- said.
local it = read(KEYS[1])
local of, name, is_shared = known(ARGV[1], ARGV[2], ARGV[3])
local window = ARGV[13] + 0
if not of or is_shared then
  local own = own_of(ARGV[1])
  if own >= OWN then
    local cut = '(' .. string.format('%d', now - window)
    forget(call('ZRANGEBYSCORE', KEYS[3], '-inf', cut, 'LIMIT', 0, 64))
    own = own_of(ARGV[1])
  end
  if own < OWN then
    of, name, is_shared = nil, ARGV[1] .. ARGV[2], false
  end
  -- One of several may have been forgotten just now.
  of = of and record(name)
  if not of then
    if call('ZCARD', KEYS[3]) >= MOST then
      forget(call('ZRANGE', KEYS[3], 0, 0))
    end
    if not is_shared then
      call('HSET', KEYS[2], ARGV[1], own_of(ARGV[1]) + 1)
    end
    of = {}
    for at = 1, LAST do
      of[at] = 0
    end
    of[CLEARED] = it.cleared
  end
end

local number = ARGV[4] ~= '' and ARGV[4] + 1 or 0
local is_new = is_shared or number == 0 or number > of[NUMBER]
local calls, failures, slow, run = ARGV[5] + 0, ARGV[6] + 0, ARGV[7] + 0, ARGV[8] + 0
local interval = ARGV[14] + 0
local moved, judge, is_changed = 0, 0, false
of[HEARD] = now
if is_new then
  of[NUMBER] = max(of[NUMBER], number)
  if of[CLEARED] ~= it.cleared then
    of[CALLED], of[RUN], of[CLEARED] = 0, 0, it.cleared
    for at = FIRST, LAST do
      of[at] = 0
    end
  end
  if calls > 0 then
    local slot_ms = ARGV[12] + 0
    local slot = floor(now / slot_ms)
    of[CALLED], of[RUN] = now, run
    if of[SLOT_MS] ~= slot_ms or of[NEWEST] - slot >= SLOTS then
      for at = FIRST, LAST do
        of[at] = 0
      end
      of[SLOT_MS], of[NEWEST] = slot_ms, slot
    elseif slot > of[NEWEST] then
      local by = 3 * min(slot - of[NEWEST], SLOTS)
      for at = LAST, FIRST, -1 do
        of[at] = at - by >= FIRST and of[at - by] or 0
      end
      of[NEWEST] = slot
    end
    if of[FIRST] + calls <= MAX_CALLS then
      of[FIRST] = of[FIRST] + calls
      of[FIRST + 1] = of[FIRST + 1] + min(failures, calls)
      of[FIRST + 2] = of[FIRST + 2] + min(slow, calls)
    end
  end

  if failures > 0 then
    it.failures = run >= calls and min(it.failures + failures, 4294967295) or run
    it.lastFailure, is_changed = now, true
  elseif calls > 0 and it.failures > 0 and it.state == 'CLOSED' then
    it.failures, is_changed = 0, true
  end

  if it.state == 'HALF_OPEN' then
    local by_decision = ARGV[11] == '1'
    local may = it.asked
    if not by_decision then
      may = of[VERSION] == it.version and of[GRANTED] or 0
    end
    -- One that failed says more than others that came through meanwhile.
    local failed = min(ARGV[10] + 0, may)
    local through = failed > 0 and 0 or min(ARGV[9] + 0, may)
    if by_decision then
      it.asked = may - failed - through
    else
      of[GRANTED], of[VERSION] = may - failed - through, it.version
    end
    if failed > 0 then
      local failures_in_a_row = min(it.failed + 1, 255)
      local first, longest = ARGV[16] + 0, ARGV[17] + 0
      local even = min(first * 2 ^ min(failures_in_a_row, 64), max(longest, first))
      local most = floor(even * ARGV[18] / 1000000)
      local wait = max(even - most + floor((2 * most + 1) * ARGV[19] / 65536), 1)
      open(it, max(now + wait, min(it.recoveryTime, now + interval)))
      it.failed = failures_in_a_row
      it.triedBy = by_decision and '' or ARGV[1]
      moved, is_changed = 1, true
    elseif through > 0 then
      it.successes, is_changed = it.successes + through, true
      if not by_decision and it.triedBy == ARGV[1] then
        it.triedBy = ''
      end
      if it.successes >= ARGV[15] + 0 then
        close(it)
        moved = 2
      end
    end
  elseif it.state == 'CLOSED' and (failures > 0 or slow > 0 or run > 0) then
    local pause = floor(call('ZCARD', KEYS[3]) / 10)
    local since = now - it.judged
    if pause == 0 then
      judge = 1
    elseif since >= pause or since < 0 then
      judge, it.judged, is_changed = 1, now, true
    end
  end
end

keep(name, of)
call('ZADD', KEYS[3], now, name)
call('PEXPIRE', KEYS[2], window + 60000)
call('PEXPIRE', KEYS[3], window + 60000)
if is_changed then
  save(KEYS[1], it)
end
return {moved, judge, it.version, it.cleared, call('ZCARD', KEYS[3]), standing(it)}
