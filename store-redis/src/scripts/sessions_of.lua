-- Reads all sessions of a subject, and forgets those that are not there any more.
--
-- KEYS: the subject's index. ARGV: 4 what the names of sessions begin with.

local found, gone = sessions(KEYS[1], ARGV[4])
local answer = { now }
for _, session in ipairs(found) do
    answer[#answer + 1] = session.id
    answer[#answer + 1] = redis.call('GET', session.key)
end
unlist(KEYS[1], gone)
return answer
