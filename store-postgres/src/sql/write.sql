-- Writes a record whose row is held. $9 is the channel to tell of a renewal, if it is one.
WITH written AS (
    UPDATE {records} SET
        last_seen_at = $2,
        deadline = $3,
        due_at = LEAST(due_at, $3, $2 + idle),
        revision = $4,
        presented = $5,
        predecessor = $6,
        secrets = $7,
        entries = coalesce($8, entries)
    WHERE id = $1
    RETURNING id
)
SELECT CASE WHEN $9 IS NOT NULL THEN pg_notify($9, 'r' || encode(id, 'hex')) END::text FROM written
