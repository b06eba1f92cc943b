-- Puts the next record of live sessions in the place of those that they were made from: as many changes as
-- are sent together, each for itself. The most frequent of the scripts that write, and written for speed: no
-- functions of its own; no long string made anew, since Lua hashes each to its end; and no number given to a
-- command, since some versions of Redis write it down as if it had a fraction.
--
-- KEYS: the sessions, and then, of those whose next record stands under a key already, that key. ARGV, for each
-- session: packed, the revision of the record it was made from, from when until when it would be made the
-- same, the instant assumed, when the next record says that it was last seen, its deadline, and flags: 1 it
-- was used, 2 its secrets change, 4 its entries stay the same; the instants to move by what the assumed clock
-- was wrong: where each stands, and what it is; the next record; its header if the entries stay the same;
-- nothing if all of it does; or one zero byte, if it stands under a key.
--
-- What it answers is, for each session, what it would answer if that were the only one. So whatever may be
-- refused of one is read with pcall.

local call, pack, unpack, format = redis.call, struct.pack, struct.unpack, string.format
local sessions = (#ARGV - 3) / 3
local others, answers = sessions, {}
local STAGED = '\0'
for session = 1, sessions do
    local fixed, moved, next = ARGV[3 * session + 1], ARGV[3 * session + 2], ARGV[3 * session + 3]
    local revision, from, till, assumed, written, later, flags = unpack('>c8I8I8I8I8I8I8', fixed)
    local key, staged = KEYS[session], nil
    if next == STAGED then
        next, others = '', others + 1
        staged = KEYS[others]
    end
    local answer
    local before = redis.pcall('GETRANGE', key, '0', '55')
    local length, stored, _, last_seen, deadline, idle
    if type(before) == 'table' then
        answer = before
    else
        local version = before:byte(1)
        if version == LIVE and #before == 56 then
            length, stored, _, last_seen, deadline, idle = unpack('>I4c8I8I8I8I8', before, 5)
        end
        if not version or version == ENDED or stored and now >= math.min(deadline, last_seen + idle) then
            answer = { now, 'absent' }
        elseif stored ~= revision or now < from or now >= till then
            answer = { now, 'missed', call('GET', key) }
        end
    end

    if answer then
        if staged then
            call('DEL', staged)
        end
    else
        -- The one instant that the revision does not guard.
        local used = flags % 2 == 1 and now > last_seen and now or last_seen
        local has_used_to_stamp = used ~= (next == '' and not staged and last_seen or written)
        local delta = now - assumed
        deadline = later
        if delta ~= 0 then
            for at = 1, #moved, 9 do
                local offset, instant = unpack('>BI8', moved, at)
                if offset == 32 then
                    deadline = math.min(instant + delta, 9007199254740991)
                end
            end
        end
        local gone = math.min(deadline, used + idle)
        local expire, set, at = 'PEXPIREAT', 'PXAT', math.max(gone - 1, 1)
        if is_test then
            expire, set, at = 'PEXPIRE', 'PX', math.max(gone - now, 0) + HOUR
        end
        at = format('%d', at)

        answer = pack('>I8I8', now, last_seen)
        if not is_test and gone <= now + 1 then
            -- It ends before anybody can ask. Redis would remove the key when told so, and then make another.
            call('DEL', key)
            if staged then
                call('DEL', staged)
            end
        else
            local target = staged or key
            if flags < 4 and not staged then
                call('SET', key, next, set, at)
            elseif call(expire, target, at) == 0 then
                -- First, for it is never refused for want of memory.
                answer = { now, 'lost' }
            elseif #next == length then
                call('SETRANGE', key, '0', next)
            elseif next ~= '' then
                call('SET', key, next .. call('GETRANGE', key, length, '-1'), set, at)
            end
            if type(answer) == 'string' then
                if has_used_to_stamp then
                    call('SETRANGE', target, '24', pack('>I8', used))
                end
                if delta ~= 0 then
                    for at = 1, #moved, 9 do
                        local offset, instant = unpack('>BI8', moved, at)
                        instant = math.min(instant + delta, 9007199254740991)
                        call('SETRANGE', target, offset, pack('>I8', instant))
                    end
                end
                if staged then
                    call('RENAME', staged, key)
                end
            end
        end
        if flags % 4 >= 2 and type(answer) == 'string' then
            call('PUBLISH', channel, 'renewed ' .. key:sub(-32))
        end
    end
    answers[session] = answer
end
return answers
