-- What every script begins with.
--
-- ARGV[1] is the instant by the test clock, or nothing: then it is the server's. ARGV[2] is the
-- channel of the feed. ARGV[3] is 'cluster' on one.
--
-- A script is carried out whole or not at all, for it reads everything that it will write before it
-- writes, and Redis refuses it for want of memory, if at all, at its first write. Those that only end
-- sessions begin with a write that is never refused. One that takes several steps is refused before the first
-- of them or not at all.

local ENDED, LIVE, REMEMBERED, HOUR = 0, 1, 60000, 3600000

local now = tonumber(ARGV[1])
local is_test = now ~= nil
if not is_test then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local channel = ARGV[2]

