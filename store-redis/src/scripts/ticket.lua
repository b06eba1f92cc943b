-- Reads a subject's fence together with the clock.
--
-- KEYS: the fence.

return { now, redis.call('GET', KEYS[1]) or '' }
