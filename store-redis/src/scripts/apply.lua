-- Puts the next record of a live session in the place of the one it was made from.
--
-- KEYS: the session. ARGV: 3 the instant assumed, 4 revision of the record it was made from, 5 and 6
-- from when until when it would be made the same, 7 header, 8 entries, or '=' for the same, 9 stamps,
-- 10 'touch' if it was used, 11 'renewed' if its secrets change.

local before = read(KEYS[1])
local is = state(before)
if is == nil or is == 'ended' then
    return { now, 'absent' }
elseif before:sub(9, 16) ~= ARGV[4] or now < tonumber(ARGV[5]) or now >= tonumber(ARGV[6]) then
    return { now, 'missed', redis.call('GET', KEYS[1]) }
end

local header = stamped(ARGV[7], ARGV[9], ARGV[3])
-- The one instant that the revision does not guard.
local last_seen = millis(before, 24)
local used = ARGV[10] == 'touch' and now or 0
header = header:sub(1, 24) .. struct.pack('>I8', math.max(last_seen, used)) .. header:sub(33)

local length = struct.unpack('>I4', before, 5)
if not is_test and expiry(header) <= now + 1 then
    -- It ends before anybody can ask. Redis would remove the key when told so, and then make another.
    redis.call('DEL', KEYS[1])
elseif ARGV[8] ~= '=' then
    set(KEYS[1], header .. ARGV[8], expiry(header))
elseif #header == length then
    -- First, for it is never refused for want of memory.
    expire(KEYS[1], expiry(header))
    redis.call('SETRANGE', KEYS[1], 0, header)
else
    local entries = redis.call('GETRANGE', KEYS[1], length, -1)
    expire(KEYS[1], expiry(header))
    set(KEYS[1], header .. entries, expiry(header))
end
if ARGV[11] == 'renewed' then
    redis.call('PUBLISH', channel, 'renewed ' .. KEYS[1]:sub(-32))
end
return { now, 'applied', last_seen }
