-- Raises a subject's fence and ends its sessions.
--
-- KEYS: the subject's index, its fence. ARGV: 4 the new fence, 5 the life of tickets, 6 the session that
-- stays, or nothing, 7 what the names of sessions begin with.

local found, gone = sessions(KEYS[1], ARGV[7])
-- First, for it is never refused for want of memory.
redis.call('DEL', KEYS[2])
set(KEYS[2], ARGV[4], now + math.max(tonumber(ARGV[5]), DAY))
local answer = { now }
for _, session in ipairs(found) do
    if session.id ~= ARGV[6] then
        finish(session.key, session.header)
        gone[#gone + 1] = session.id
        answer[#answer + 1] = session.id
    end
end
unlist(KEYS[1], gone)
return answer
