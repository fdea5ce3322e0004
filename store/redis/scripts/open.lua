-- Opens a circuit, because its reporters together say that the service fails: unless it has moved
-- since they were asked. circuit.lua stands before this.
--
-- KEYS[1]      the circuit
-- ARGV[1]      its version when they were asked
-- ARGV[2]      for how long, in ms
--
-- Returns {opened, …}: 1 where this has opened it, else 0; and how it stands.
local it = read(KEYS[1])
local opened = 0
if it.state == 'CLOSED' and it.version == ARGV[1] + 0 then
  open(it, now + ARGV[2])
  it.failed, it.triedBy, opened = 0, '', 1
  save(KEYS[1], it)
end
return {opened, standing(it)}
