-- Does what an operator says. circuit.lua stands before this.
--
-- KEYS[1]      the circuit
-- KEYS[2], [3] what is kept of those who report
-- ARGV[1]      OPEN or CLOSED; RESET forgets everything
-- ARGV[2]      for how long, in ms
--
-- Returns how it stands, and how many reporters there are.
local it = read(KEYS[1])
if ARGV[1] == 'RESET' then
  close(it)
  it.forced, it.forcedUntil, it.lastFailure = '', 0, 0
  call('DEL', KEYS[2], KEYS[3])
else
  it.forced, it.forcedUntil = ARGV[1], now + ARGV[2]
end
save(KEYS[1], it)
local answer = {standing(it)}
answer[#answer + 1] = call('ZCARD', KEYS[3])
return answer
