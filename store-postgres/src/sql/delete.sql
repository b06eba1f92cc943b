WITH held AS MATERIALIZED (
    SELECT id, {expiry} AS expires_at FROM {records}
    WHERE id = $1 AND ended_at IS NULL FOR UPDATE
), judged AS MATERIALIZED (
    SELECT id, expires_at, {now}($2) AS instant FROM held
), gone AS (
    UPDATE {records} AS stored SET {end} FROM judged
    WHERE stored.id = judged.id AND instant < judged.expires_at
    RETURNING stored.id
)
SELECT CASE WHEN $3 IS NOT NULL THEN pg_notify($3, 'e' || encode(id, 'hex')) END::text FROM gone
