-- What the scripts begin with, besides, that end sessions or concern a subject's.

local SECOND, DAY = 1000, 86400000

-- Ends a session, and remembers its secrets.
local function finish(key, header)
    local ended = { '\0' .. struct.pack('>I8', now) }
    if state(header) == 'live' then
        for slot = 0, header:byte(2) - 1 do
            ended[#ended + 1] = header:sub(57 + slot * 49, 88 + slot * 49)
        end
    end
    redis.call('DEL', key)
    set(key, table.concat(ended), now + REMEMBERED)
    redis.call('PUBLISH', channel, 'ended ' .. key:sub(-32))
end

-- The subject in a header, and where the part before it begins; nil if it has none.
local function owner(header)
    if header:byte(3) % 2 == 0 then
        return nil
    end
    local at = 56 + header:byte(2) * 49
    return header:sub(at + 14, at + 13 + header:byte(at + 13)), at
end

-- Sees to it that what is not here is nowhere. A slot may be on its way to this node, its keys one after
-- the other: then the caller must try again.
local function be_complete(key)
    if ARGV[3] == 'cluster' then
        local slot = redis.call('CLUSTER', 'KEYSLOT', key)
        if redis.call('CLUSTER', 'NODES'):find('[' .. slot .. '-<-', 1, true) then
            error('the slot is on its way here: non local key')
        end
    end
end

-- The sessions that an index lists: those that are there, in the order of their creation, and the ids
-- of those that are not any more.
local function sessions(index, stem)
    local found, gone = {}, {}
    for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
        local header = read(stem .. id)
        local is = state(header)
        if is == 'live' or is == 'unreadable' then
            found[#found + 1] = { id = id, key = stem .. id, header = header, is = is }
        else
            gone[#gone + 1] = id
        end
    end
    if gone[1] then
        be_complete(index)
    end
    return found, gone
end

local function unlist(index, ids)
    for _, id in ipairs(ids) do
        redis.call('ZREM', index, id)
    end
end
