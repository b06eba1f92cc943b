-- Reads a session together with the clock.
--
-- KEYS: the session.

if not state(read(KEYS[1])) then
    return { now, '' }
end
return { now, redis.call('GET', KEYS[1]) }
