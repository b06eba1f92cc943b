-- Raises the fence of a subject and ends its sessions but one.
CREATE FUNCTION {revoke}(
    test_clock bigint,
    owner text,
    keep_id bytea,
    channel text,
    OUT ended bytea[]
) LANGUAGE plpgsql AS $$
DECLARE
    instant bigint;
BEGIN
    {lock_owner}
    PERFORM FROM {records} WHERE subject = owner AND ended_at IS NULL FOR UPDATE;
    instant := {now}(test_clock);

    INSERT INTO {fences} AS held (subject, fence) VALUES (owner, instant)
    ON CONFLICT (subject) DO UPDATE SET fence = greatest(held.fence + 1, excluded.fence);
    WITH gone AS (
        UPDATE {records} SET {end}
        WHERE subject = owner AND ended_at IS NULL AND instant < {expiry}
            AND id IS DISTINCT FROM keep_id
        RETURNING id
    )
    SELECT coalesce(array_agg(id), '{}') INTO ended FROM gone;
    PERFORM pg_notify(channel, 'e' || encode(gone, 'hex'))
    FROM unnest(ended) AS gone WHERE channel IS NOT NULL;
END
$$;
