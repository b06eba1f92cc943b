-- For each session: $1 its id, $3 the revision that the row must have, $4 the one that it gets, $5 whether
-- to touch, $6 whether the predecessor is settled, $7 new entries, $8 the revision of the caller's copy.
-- $2 is the test clock.
--
-- A row that somebody else holds is passed over: it must not keep the others waiting. Each session's
-- clock is read once its row's lock is held: an UPDATE that judged it by itself would judge it before it
-- waits.
WITH asked AS (
    SELECT * FROM unnest((SELECT $1), $3, $4, $5, $6, $7, $8)
        AS asked (asked_id, replaces, next_revision, touches, settles, next_entries, seen)
), held AS MATERIALIZED (
    SELECT * FROM asked CROSS JOIN LATERAL (
        SELECT {columns}, entries, id FROM {records}
        WHERE id = asked_id AND ended_at IS NULL LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ) AS found
), judged AS MATERIALIZED (
    SELECT *, {now}($2) AS instant FROM held
), done AS (
    UPDATE {records} AS stored SET
        revision = coalesce(next_revision, stored.revision),
        last_seen_at = CASE WHEN touches THEN greatest(stored.last_seen_at, instant)
            ELSE stored.last_seen_at END,
        predecessor = CASE WHEN settles THEN NULL ELSE stored.predecessor END,
        entries = coalesce(next_entries, stored.entries)
    FROM judged
    WHERE stored.id = judged.id
        AND instant < LEAST(judged.deadline, judged.last_seen_at + judged.idle)
        AND (replaces IS NULL OR judged.revision = replaces)
        AND (next_revision IS NOT NULL OR instant > judged.last_seen_at)
    RETURNING stored.id
)
SELECT {columns}, CASE WHEN revision = seen THEN NULL ELSE entries END, instant,
    id IN (SELECT id FROM done), id
FROM judged
