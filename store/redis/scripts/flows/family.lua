-- How a token of a family stands. This stands before stand.lua and turn.lua, and follows
-- store/src/memory/flows/families.rs line by line.
--
-- KEYS[1]  the family's hash: lock, current (the hash of the current token's secret, or nothing once
--          a spent one was shown), generation (which token of the row that is), grant, ends (ms)
-- KEYS[2]  what was answered for tokens that were spent a moment ago: a hash, from a token's secret
--          to when and what, packed; at most 8, and gone when the time of grace is
-- ARGV[1]  the hash of the lock that was presented
-- ARGV[2]  the hash of the secret that was presented
-- ARGV[3]  which token of the row it says it is
-- ARGV[4]  the time of grace, in ms
--
-- `how` is 0 unknown, 1 current, 2 again, with `answer`, 3 reused, or 4 for a turn that was
-- done by this very call before. A family that was reused gives nobody a token any more, and says so
-- until it is ended: whoever was told may be gone before that is kept where it cannot be lost.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local family = redis.call('HMGET', KEYS[1], 'lock', 'current', 'generation', 'grant', 'ends')

local function stand()
  -- Whoever has no token of this family has not its lock: nothing that they show ends it.
  if not family[1] or family[1] ~= ARGV[1] then return 0 end
  if family[2] == '' then return 3 end
  local stored, shown = tonumber(family[3]), tonumber(ARGV[3])
  if shown == stored then
    if family[2] == ARGV[2] then return 1 end
    return 0
  end
  -- A fail-over has lost a turn: the token is good, and the store knows less than its holder.
  if shown > stored then return 0 end
  local spent = redis.call('HGET', KEYS[2], ARGV[2])
  if spent then
    local kept = cmsgpack.unpack(spent)
    if now - kept[1] <= tonumber(ARGV[4]) then return 2, kept[2] end
  end
  -- A cluster's client sends again what it had no answer to. Whoever turns makes the next token, so
  -- nobody else can name it.
  if ARGV[5] and shown == stored - 1 and family[2] == ARGV[5] then return 4 end
  redis.call('HSET', KEYS[1], 'current', '')
  redis.call('DEL', KEYS[2])
  return 3
end
local how, answer = stand()
