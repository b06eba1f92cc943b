-- The clock is read once the row's lock is held, however long that took.
WITH held AS MATERIALIZED (
    SELECT {columns}, entries FROM {records} WHERE id = $1 AND ended_at IS NULL FOR UPDATE
)
SELECT *, {now}($2) FROM held
