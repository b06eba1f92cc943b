-- Begins a session, of a subject or of nobody. Its instants come as if it were 1970, and are moved here.
CREATE FUNCTION {begin}(
    test_clock bigint,
    new_id bytea,
    new_revision bigint,
    absolute bigint,
    new_idle bigint,
    new_renewal bigint,
    new_presented boolean,
    new_secret bytea,
    new_predecessor bytea,
    new_entries bytea, -- NULL if they are too large
    owner text,
    ticket_nonce bigint,
    ticket_attempt bigint,
    ticket_issued_at bigint,
    ticket_fence bigint,
    ticket_life bigint,
    max_sessions bigint,
    ends_oldest boolean,
    channel text,
    OUT outcome text,
    OUT instant bigint,
    OUT ended bytea[]
) LANGUAGE plpgsql AS $$
DECLARE
    leaving bytea[] := '{}';
    latest bytea[];
    has_room boolean;
BEGIN
    IF owner IS NOT NULL THEN
        {lock_owner}
    END IF;
    IF max_sessions IS NOT NULL OR ticket_attempt > 1 THEN
        PERFORM FROM {records} WHERE subject = owner AND ended_at IS NULL FOR UPDATE;
    END IF;
    -- All locks are held: this is the instant at which the session begins.
    instant := {now}(test_clock);

    IF owner IS NOT NULL AND (
        instant >= ticket_issued_at + ticket_life
        OR EXISTS (SELECT FROM {fences} WHERE subject = owner AND fence <> ticket_fence)
        OR EXISTS (SELECT FROM {tries} WHERE nonce = ticket_nonce AND attempt > ticket_attempt)
    ) THEN
        outcome := 'revoked';
        RETURN;
    END IF;
    IF ticket_attempt > 1 THEN
        INSERT INTO {tries} (nonce, attempt, tried_at)
        VALUES (ticket_nonce, ticket_attempt, instant)
        ON CONFLICT (nonce) DO UPDATE
        SET attempt = excluded.attempt, tried_at = excluded.tried_at;
    END IF;
    IF EXISTS (SELECT FROM {records} WHERE id = new_id AND instant < {until}) THEN
        outcome := 'exists';
        RETURN;
    END IF;

    -- The rules of session_core::admit. What an earlier try under the same ticket made is ended.
    IF ticket_attempt > 1 THEN
        leaving := ARRAY(
            SELECT id FROM {records}
            WHERE subject = owner AND ended_at IS NULL AND instant < {expiry}
                AND nonce = ticket_nonce AND attempt < ticket_attempt
            ORDER BY created_at, id
        );
    END IF;
    IF max_sessions IS NOT NULL THEN
        -- A session that another one replaces does not count. Of those that do, the lost ones make room
        -- first, then, if the limit ends the oldest, the others. Lost is one never presented, unless
        -- the session that it alone replaces would take its place: of several that replace one, all
        -- but the last may go.
        WITH unclaimed AS MATERIALIZED (
            SELECT id, predecessor, created_at,
                NOT presented AND instant >= created_at + {unpresented_grace} AS is_unclaimed
            FROM {records}
            WHERE subject = owner AND ended_at IS NULL AND instant < {expiry}
                AND id <> ALL (leaving)
        ), remaining AS MATERIALIZED (
            SELECT id, predecessor, created_at, is_unclaimed AND (
                predecessor IS NOT DISTINCT FROM new_predecessor
                OR NOT EXISTS (SELECT FROM unclaimed AS before WHERE before.id = one.predecessor)
                OR EXISTS (
                    SELECT FROM unclaimed AS other
                    WHERE other.predecessor = one.predecessor AND other.id <> one.id AND (
                        NOT other.is_unclaimed
                        OR (other.created_at, other.id) > (one.created_at, one.id)
                        OR other.id IS NOT DISTINCT FROM new_predecessor
                        OR EXISTS (SELECT FROM unclaimed AS next WHERE next.predecessor = other.id)
                    )
                )
            ) AS lost
            FROM unclaimed AS one
        ), counted AS (
            SELECT id, lost, row_number() OVER (ORDER BY NOT lost, created_at, id) AS place,
                count(*) OVER () - max_sessions + 1 AS too_many
            FROM remaining
            WHERE id IS DISTINCT FROM new_predecessor
                AND id NOT IN (SELECT predecessor FROM remaining WHERE predecessor IS NOT NULL)
        )
        SELECT array_agg(id ORDER BY place), bool_and(lost OR ends_oldest)
        INTO latest, has_room
        FROM counted WHERE place <= too_many;
        IF NOT has_room THEN
            outcome := 'limit';
            RETURN;
        END IF;
        -- With a session goes the predecessor that only it replaced.
        WHILE latest IS NOT NULL LOOP
            leaving := leaving || latest;
            SELECT array_agg(id) INTO latest FROM {records}
            WHERE id IN (SELECT predecessor FROM {records} WHERE id = ANY (latest))
                AND subject = owner AND ended_at IS NULL AND instant < {expiry}
                AND id <> ALL (leaving) AND id IS DISTINCT FROM new_predecessor
                AND id NOT IN (
                    SELECT predecessor FROM {records}
                    WHERE subject = owner AND ended_at IS NULL AND instant < {expiry}
                        AND id <> ALL (leaving) AND predecessor IS NOT NULL
                );
        END LOOP;
    END IF;
    IF new_entries IS NULL THEN
        outcome := 'too large';
        RETURN;
    END IF;

    -- What is left under the id is neither live nor remembered.
    DELETE FROM {records} WHERE id = new_id AND instant >= {until};
    INSERT INTO {records} (
        created_at, last_seen_at, deadline, due_at, revision, idle, renewal, nonce, attempt,
        presented, id, predecessor, secrets, subject, entries
    ) VALUES (
        instant, instant, instant + absolute, instant + LEAST(absolute, new_idle), new_revision,
        new_idle, new_renewal, ticket_nonce, ticket_attempt, new_presented, new_id,
        new_predecessor, overlay(new_secret PLACING int8send(instant) FROM 33 FOR 8), owner,
        new_entries
    ) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        -- Another call took it since.
        outcome := 'exists';
        RETURN;
    END IF;
    UPDATE {records} SET {end} WHERE id = ANY (leaving);
    PERFORM pg_notify(channel, 'e' || encode(gone, 'hex'))
    FROM unnest(leaving) AS gone WHERE channel IS NOT NULL;
    outcome := 'begun';
    ended := leaving;
END
$$;
