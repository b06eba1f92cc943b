-- Agrees on how subjects are placed in shards: the first server says, the others must do the same. And
-- shows, on a key of its own, that this user may do all that the other scripts do.
--
-- KEYS: what was agreed, the key to try things on. ARGV: 4 the fingerprint.

local agreed = redis.call('GET', KEYS[1])
local try = KEYS[2]
redis.call('PUBLISH', channel, 'hello')
redis.call('DEL', try)
set(try, '\0', now)
redis.call('SETRANGE', try, 0, '\1')
redis.call('RENAME', try, try)
expire(try, now)
redis.call('DEL', try)
redis.call('ZADD', try, now, 'id')
redis.call('ZSCORE', try, 'id')
redis.call('ZRANGE', try, 0, -1)
redis.call('ZRANDMEMBER', try, 1)
redis.call('PTTL', try)
redis.call('ZREM', try, 'id')
be_complete(try)
if not agreed then
    agreed = ARGV[4]
    redis.call('SET', KEYS[1], agreed)
end
return { now, agreed }
