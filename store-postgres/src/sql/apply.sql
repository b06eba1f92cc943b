-- $1 id, $2 test clock, $3 the revision that the row must have, $4 the one that it gets, $5 whether to
-- touch, $6 whether the predecessor is settled, $7 new entries, $8 the revision of the caller's copy.
--
-- The clock is read once the row's lock is held: an UPDATE that judged the session by itself would
-- judge it before it waits.
WITH held AS MATERIALIZED (
    SELECT {columns}, entries, id FROM {records}
    WHERE id = $1 AND ended_at IS NULL FOR NO KEY UPDATE
), judged AS MATERIALIZED (
    SELECT *, {now}($2) AS instant FROM held
), done AS (
    UPDATE {records} AS stored SET
        revision = coalesce($4, stored.revision),
        last_seen_at = CASE WHEN $5 THEN greatest(stored.last_seen_at, judged.instant)
            ELSE stored.last_seen_at END,
        predecessor = CASE WHEN $6 THEN NULL ELSE stored.predecessor END,
        entries = coalesce($7, stored.entries)
    FROM judged
    WHERE stored.id = judged.id
        AND judged.instant < LEAST(judged.deadline, judged.last_seen_at + judged.idle)
        AND ($3 IS NULL OR judged.revision = $3)
        AND ($4 IS NOT NULL OR judged.instant > judged.last_seen_at)
    RETURNING stored.id
)
SELECT {columns}, CASE WHEN revision = $8 THEN NULL ELSE entries END, instant,
    EXISTS (SELECT FROM done)
FROM judged
