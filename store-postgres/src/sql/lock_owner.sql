-- What others commit while this call waits for the lock must be seen by the statements after it.
IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'sessions need the isolation level READ COMMITTED'
    USING ERRCODE = 'object_not_in_prerequisite_state';
END IF;
PERFORM pg_advisory_xact_lock(hashtextextended(owner, '{records}'::regclass::oid::bigint));
