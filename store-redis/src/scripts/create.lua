-- Inserts an anonymous session.
--
-- KEYS: the session. ARGV: 4 the instant assumed, 5 header (nothing: too large), 6 entries, 7 stamps.

if state(read(KEYS[1])) then
    return { now, 'exists' }
elseif ARGV[5] == '' then
    return { now, 'too large' }
end
local header = stamped(ARGV[5], ARGV[7], ARGV[4])
set(KEYS[1], header .. ARGV[6], expiry(header))
return { now, 'created' }
