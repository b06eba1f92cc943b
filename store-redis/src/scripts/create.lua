-- Inserts an anonymous session.
--
-- KEYS: the session. ARGV: 3 the instant assumed, 4 header (nothing: too large), 5 entries, 6 stamps.

if state(read(KEYS[1])) then
    return { now, 'exists' }
elseif ARGV[4] == '' then
    return { now, 'too large' }
end
local header = stamped(ARGV[4], ARGV[6], ARGV[3])
set(KEYS[1], header .. ARGV[5], expiry(header))
return { now, 'created' }
