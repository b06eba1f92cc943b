-- Ends a session.
--
-- KEYS: the session. ARGV: 4 what the names of the subjects' indices begin with.

local header = read(KEYS[1])
local is = state(header)
if is ~= 'live' and is ~= 'unreadable' then
    return { now, 0 }
end
local subject = is == 'live' and owner(header)
local index = subject and ARGV[4] .. subject
local is_listed = index and redis.call('ZSCORE', index, KEYS[1]:sub(-32))
finish(KEYS[1], header)
if is_listed then
    redis.call('ZREM', index, KEYS[1]:sub(-32))
end
return { now, 1 }
