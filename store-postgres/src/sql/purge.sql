-- Looks at no more than a batch of what may be due, and removes what is. Waits for nobody: what another
-- call holds is left for later, and only one call works at a time.
CREATE FUNCTION {purge}(
    test_clock bigint,
    batch bigint,
    ticket_memory bigint,
    OUT looked bigint,
    OUT expired bytea[]
) LANGUAGE plpgsql AS $$
DECLARE
    instant bigint;
    due bytea[];
BEGIN
    looked := 0;
    expired := '{}';
    IF NOT pg_try_advisory_xact_lock('{records}'::regclass::oid::int, 1) THEN
        RETURN;
    END IF;
    instant := {now}(test_clock);
    due := ARRAY(
        SELECT id FROM {records} WHERE due_at <= instant
        ORDER BY due_at LIMIT batch FOR UPDATE SKIP LOCKED
    );
    looked := cardinality(due);
    WITH gone AS (
        DELETE FROM {records} WHERE id = ANY (due) AND instant >= {until}
        RETURNING id, ended_at
    )
    SELECT coalesce(array_agg(id) FILTER (WHERE ended_at IS NULL), '{}') INTO expired FROM gone;
    -- The others were used since.
    UPDATE {records} SET due_at = {until} WHERE id = ANY (due);

    DELETE FROM {fences} WHERE subject = ANY (ARRAY(
        SELECT subject FROM {fences} WHERE fence <= instant - ticket_memory
        ORDER BY fence LIMIT batch FOR UPDATE SKIP LOCKED
    ));
    DELETE FROM {tries} WHERE nonce = ANY (ARRAY(
        SELECT nonce FROM {tries} WHERE tried_at <= instant - ticket_memory
        ORDER BY tried_at LIMIT batch FOR UPDATE SKIP LOCKED
    ));
END
$$;
