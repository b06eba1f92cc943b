-- Puts the next record of a live session in the place of the one it was made from.
--
-- KEYS: the session. ARGV: 4 the instant assumed, 5 revision of the record it was made from, 6 and 7
-- from when until when it would be made the same, 8 how long its header is, 9 the record, or its header if
-- the entries stay the same, 10 stamps, 11 'touch' if it was used, 12 'renewed' if its secrets change.

local before = read(KEYS[1])
local is = state(before)
if is == nil or is == 'ended' then
    return { now, 'absent' }
elseif before:sub(9, 16) ~= ARGV[5] or now < tonumber(ARGV[6]) or now >= tonumber(ARGV[7]) then
    return { now, 'missed', redis.call('GET', KEYS[1]) }
end

local next, last_seen = ARGV[9], millis(before, 24)
local header = next:sub(1, ARGV[8])
-- The one instant that the revision does not guard.
local used = ARGV[11] == 'touch' and now > last_seen and now or last_seen
header = header:sub(1, 24) .. struct.pack('>I8', used) .. header:sub(33)
header = stamped(header, ARGV[10], ARGV[4])
local gone = expiry(header)

local length = struct.unpack('>I4', before, 5)
if not is_test and gone <= now + 1 then
    -- It ends before anybody can ask. Redis would remove the key when told so, and then make another.
    redis.call('DEL', KEYS[1])
elseif #next > #header then
    set(KEYS[1], next, gone)
    redis.call('SETRANGE', KEYS[1], 0, header)
else
    -- First, for it is never refused for want of memory.
    expire(KEYS[1], gone)
    if #header == length then
        redis.call('SETRANGE', KEYS[1], 0, header)
    else
        set(KEYS[1], header .. redis.call('GETRANGE', KEYS[1], length, -1), gone)
    end
end
if ARGV[12] == 'renewed' then
    redis.call('PUBLISH', channel, 'renewed ' .. KEYS[1]:sub(-32))
end
return { now, 'applied', last_seen }
