-- For each session of nobody: $2 id, $3 revision, $4 deadline, $5 idle timeout, $6 renewal interval, $7
-- secret, $8 predecessor, $9 entries. $1 is the test clock. Instants come as if it were 1970, and are moved here.
--
-- In one order, so that no two calls ever wait for each other. What is left under an id, if anything, is
-- not looked at: {begin} does that.
WITH born AS MATERIALIZED (
    SELECT *, {now}($1) AS instant
    FROM unnest((SELECT $2), $3, $4, $5, $6, $7, $8, $9)
        AS born (id, revision, absolute, idle, renewal, secret, predecessor, entries)
), made AS (
    INSERT INTO {records} (
        created_at, last_seen_at, deadline, due_at, revision, idle, renewal, presented, id,
        predecessor, secrets, entries
    )
    SELECT instant, instant, instant + absolute, instant + LEAST(absolute, idle), revision, idle,
        renewal, true, id, predecessor,
        overlay(secret PLACING int8send(instant) FROM 33 FOR 8), entries
    FROM born ORDER BY id
    ON CONFLICT DO NOTHING
    RETURNING created_at, id
)
SELECT created_at, id FROM made
