-- Inserts a session of a subject, lists it, and keeps the limit: session_core::admit.
--
-- KEYS: the session, the subject's index, fence, and the ticket's latest try. ARGV: 4 the instant
-- assumed, 5 header (nothing: too large), 6 entries, 7 stamps, 8 when the ticket was issued, 9 its
-- life, 10 its fence, 11 its nonce, 12 its try, 13 the predecessor or nothing, 14 the limit or nothing,
-- 15 'oldest' or 'refuse', 16 what the names of sessions begin with.

local issued, life, nonce, try = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[11], tonumber(ARGV[12])
local newest, limit, stem = ARGV[13], tonumber(ARGV[14]), ARGV[16]

local fence = redis.call('GET', KEYS[3])
local latest = tonumber(redis.call('GET', KEYS[4]) or '0')
if now >= issued + life or (fence and fence ~= ARGV[10]) or latest > try then
    return { now, 'revoked' }
end

-- What the decision needs of a session.
local function unpack_session(session)
    local header = session.header
    local _, at = owner(header)
    if at then
        session.nonce = header:sub(at + 1, at + 8)
        session.try = struct.unpack('>I4', header, at + 9)
    end
    session.created = millis(header, 16)
    session.is_presented = false
    for slot = 0, header:byte(2) - 1 do
        session.is_presented = session.is_presented or header:byte(105 + slot * 49) ~= 0
    end
    if header:byte(3) >= 2 then
        local length = struct.unpack('>I4', header, 5)
        session.predecessor = header:sub(length - 15, length):gsub('.', function(byte)
            return string.format('%02x', byte:byte())
        end)
    end
end

-- Those to be ended, or nil if the limit is reached.
local function admit(found)
    local ended, remaining, by_id = {}, {}, {}
    for _, session in ipairs(found) do
        if session.is == 'live' then
            unpack_session(session)
            if session.nonce == nonce and session.try < try then
                ended[#ended + 1] = session
            else
                remaining[#remaining + 1] = session
                by_id[session.id] = session
                session.replaced = 0
            end
        end
    end
    if not limit then
        return ended
    end

    -- A session counts unless another that remains, or the new one, replaces it.
    local counted = #remaining
    local function replace(id, by)
        local session = id and by_id[id]
        if not session or session.is_gone then
            return
        end
        local counted_before = session.replaced == 0
        session.replaced = session.replaced + by
        if counted_before and session.replaced > 0 then
            counted = counted - 1
        elseif not counted_before and session.replaced == 0 then
            counted = counted + 1
            return session
        end
    end
    replace(newest, 1)
    for _, session in ipairs(remaining) do
        replace(session.predecessor, 1)
    end

    -- With a session goes the predecessor that only it replaced.
    local function leave(session)
        while session do
            session.is_gone = true
            counted = counted - 1
            ended[#ended + 1] = session
            session = replace(session.predecessor, -1)
        end
    end
    for _, lost in ipairs({ true, false }) do
        if lost or ARGV[15] == 'oldest' then
            for _, session in ipairs(remaining) do
                if counted < limit then
                    break
                end
                local before = by_id[session.predecessor or '']
                local gives_place = not before or before.is_gone or before.replaced > 1
                local is_lost = not session.is_presented and gives_place
                    and now >= session.created + 60 * SECOND
                if not session.is_gone and session.replaced == 0 and (is_lost or not lost) then
                    leave(session)
                end
            end
        end
    end
    return counted < limit and ended or nil
end

local verdict, ended, gone = 'admitted', {}, {}
if state(read(KEYS[1])) then
    verdict = 'exists'
elseif limit or try > 1 then
    local found
    found, gone = sessions(KEYS[2], stem)
    ended = admit(found)
    verdict = ended and verdict or 'limit'
else
    -- Nobody walks this index. A sample keeps what expired from piling up in it.
    for _, id in ipairs(redis.call('ZRANDMEMBER', KEYS[2], 8)) do
        if not state(read(stem .. id)) then
            gone[#gone + 1] = id
        end
    end
    if gone[1] then
        be_complete(KEYS[2])
    end
end
if verdict == 'admitted' and ARGV[5] == '' then
    verdict = 'too large'
end

if try > 1 then
    set(KEYS[4], try, now + math.max(life, DAY))
end
if verdict ~= 'admitted' then
    return { now, verdict }
end
local header = stamped(ARGV[5], ARGV[7], ARGV[4])
local id, deadline = KEYS[1]:sub(-32), millis(header, 32)
set(KEYS[1], header .. ARGV[6], expiry(header))
local answer = { now, verdict }
for _, session in ipairs(ended) do
    finish(session.key, session.header)
    gone[#gone + 1] = session.id
    answer[#answer + 1] = session.id
end
unlist(KEYS[2], gone)
-- Last: an id is listed anew if one that expired had it.
redis.call('ZADD', KEYS[2], millis(header, 16), id)
-- The index outlives all that it lists.
local left = redis.call('PTTL', KEYS[2])
if left < deadline - now + SECOND then
    expire(KEYS[2], deadline + 2 * SECOND)
end
return answer
