-- Puts the next record of a live session in the place of the one it was made from. The most frequent of
-- the scripts that write, and written for speed: no functions of its own, and no long string made anew, since
-- Lua hashes each to its end.
--
-- KEYS: the session, and maybe the one under which its next record stands already. ARGV: 4 packed: the
-- revision of the record it was made from, from when until when it would be made the same, the instant
-- assumed, when the next record says that it was last seen, its deadline, and flags: 1 it was used, 2 its
-- secrets change, 4 its entries stay the same; 5 the instants to move by what the assumed clock was wrong:
-- where each stands, and what it is; 6 the next record; its header if the entries stay the same; or nothing
-- if all of it does, or stands under the second key.

local key, staged, moved, next = KEYS[1], KEYS[2], ARGV[5], ARGV[6]
local before = redis.call('GETRANGE', key, 0, 55)
local version = before:byte(1)
local length, stored, _, last_seen, deadline, idle
if version == LIVE and #before == 56 then
    length, stored, _, last_seen, deadline, idle = struct.unpack('>I4c8I8I8I8I8', before, 5)
end
if not version or version == ENDED or stored and now >= math.min(deadline, last_seen + idle) then
    if staged then
        redis.call('DEL', staged)
    end
    return { now, 'absent' }
end
local revision, from, till, assumed, written, flags
revision, from, till, assumed, written, deadline, flags = struct.unpack('>c8I8I8I8I8I8B', ARGV[4])
if stored ~= revision or now < from or now >= till then
    if staged then
        redis.call('DEL', staged)
    end
    return { now, 'missed', redis.call('GET', key) }
end

-- The one instant that the revision does not guard.
local used = flags % 2 == 1 and now > last_seen and now or last_seen
local stamps = {}
if used ~= (next == '' and not staged and last_seen or written) then
    stamps = { 24, struct.pack('>I8', used) }
end
for at = 1, #moved, 9 do
    local offset, instant = struct.unpack('>BI8', moved, at)
    instant = math.min(instant + now - assumed, 9007199254740991)
    if offset == 32 then
        deadline = instant
    end
    stamps[#stamps + 1] = offset
    stamps[#stamps + 1] = struct.pack('>I8', instant)
end
local gone = math.min(deadline, used + idle)
local expire, set, at = 'PEXPIREAT', 'PXAT', math.max(gone - 1, 1)
if is_test then
    expire, set, at = 'PEXPIRE', 'PX', math.max(gone - now, 0) + HOUR
end

if not is_test and gone <= now + 1 then
    -- It ends before anybody can ask. Redis would remove the key when told so, and then make another.
    redis.call('DEL', key)
    if staged then
        redis.call('DEL', staged)
    end
else
    local target = staged or key
    if flags < 4 and not staged then
        redis.call('SET', key, next, set, at)
    elseif redis.call(expire, target, at) == 0 then
        -- First, for it is never refused for want of memory.
        return { now, 'lost' }
    elseif #next == length then
        redis.call('SETRANGE', key, 0, next)
    elseif next ~= '' then
        redis.call('SET', key, next .. redis.call('GETRANGE', key, length, -1), set, at)
    end
    for i = 1, #stamps, 2 do
        redis.call('SETRANGE', target, stamps[i], stamps[i + 1])
    end
    if staged then
        redis.call('RENAME', staged, key)
    end
end
if flags % 4 >= 2 then
    redis.call('PUBLISH', channel, 'renewed ' .. key:sub(-32))
end
return struct.pack('>I8I8', now, last_seen)
