-- What the scripts begin with, besides, that read or write records.

-- The header of the record under a key, and at most a little more; or what is remembered of an ended one.
local function read(key)
    return redis.call('GETRANGE', key, '0', '535')
end

-- The eight bytes at an offset, counted from 0, as an instant or a duration in milliseconds.
local function millis(bytes, offset)
    return (struct.unpack('>I8', bytes, offset + 1))
end

local function expiry(header)
    local last_seen, deadline, idle = struct.unpack('>I8I8I8', header, 25)
    return math.min(deadline, last_seen + idle)
end

-- What was read: 'live', 'ended', 'unreadable', or nil if it is not there or its time has passed.
local function state(value)
    local version = value:byte(1)
    if not version then
        return nil
    elseif version == ENDED and #value >= 9 then
        return now < millis(value, 1) + REMEMBERED and 'ended' or nil
    elseif version == LIVE and #value >= 56 then
        return now < expiry(value) and 'live' or nil
    end
    return 'unreadable'
end

-- Has a key be gone at an instant. Redis keeps one at the very millisecond of its expiry. By a test
-- clock nothing expires before somebody reads it.
local function expire(key, gone)
    if is_test then
        redis.call('PEXPIRE', key, math.max(gone - now, 0) + HOUR)
    else
        redis.call('PEXPIREAT', key, math.max(gone - 1, 1))
    end
end

local function set(key, value, gone)
    if is_test then
        redis.call('SET', key, value, 'PX', math.max(gone - now, 0) + HOUR)
    else
        redis.call('SET', key, value, 'PXAT', string.format('%d', math.max(gone - 1, 1)))
    end
end

-- Moves the instants of a header that were set by an assumed clock by what it was wrong.
local function stamped(header, offsets, assumed)
    local delta = now - assumed
    for i = 1, #offsets do
        local at = offsets:byte(i)
        local moved = math.min(millis(header, at) + delta, 9007199254740991)
        header = header:sub(1, at) .. struct.pack('>I8', moved) .. header:sub(at + 9)
    end
    return header
end
