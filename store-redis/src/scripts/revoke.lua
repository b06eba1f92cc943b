-- Raises a subject's fence and ends its sessions.
--
-- KEYS: the subject's index, its fence. ARGV: 3 the new fence, 4 the life of tickets, 5 the session that
-- stays, or nothing, 6 what the names of sessions begin with.

local found, gone = sessions(KEYS[1], ARGV[6])
-- First, for it is never refused for want of memory.
redis.call('DEL', KEYS[2])
set(KEYS[2], ARGV[3], now + math.max(tonumber(ARGV[4]), DAY))
local answer = { now }
for _, session in ipairs(found) do
    if session.id ~= ARGV[5] then
        finish(session.key, session.header)
        gone[#gone + 1] = session.id
        answer[#answer + 1] = session.id
    end
end
unlist(KEYS[1], gone)
return answer
