CREATE {unlogged} TABLE {records} (
    created_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    deadline bigint NOT NULL,
    due_at bigint NOT NULL,
    revision bigint NOT NULL,
    idle bigint,
    renewal bigint,
    ended_at bigint,
    nonce bigint,
    attempt bigint,
    presented boolean NOT NULL,
    id bytea PRIMARY KEY,
    predecessor bytea,
    secrets bytea NOT NULL,
    subject text COLLATE "C",
    entries bytea NOT NULL
) WITH (fillfactor = 85);

COMMENT ON TABLE {records} IS
    'Sessions. Instants are milliseconds since 1970, durations milliseconds. Read {list} instead.';
COMMENT ON COLUMN {records}.due_at IS
    'No later than when the row may be removed. Touches leave it alone, so that they stay HOT.';
COMMENT ON COLUMN {records}.secrets IS
    'For each secret its SHA-256, when it was issued, until when it is accepted, and its standing.';
COMMENT ON COLUMN {records}.ended_at IS
    'Set once the session has ended: what is left only tells a late request from a forged one.';

CREATE INDEX ON {records} (due_at);
CREATE INDEX ON {records} (subject) WHERE subject IS NOT NULL AND ended_at IS NULL;

-- Always logged: a fence outlives a crash, whatever becomes of the sessions.
CREATE TABLE {fences} (
    fence bigint NOT NULL,
    subject text COLLATE "C" PRIMARY KEY
);
COMMENT ON TABLE {fences} IS
    'When a subject was last revoked. A ticket that was issued under another fence is refused.';
CREATE INDEX ON {fences} (fence);

CREATE TABLE {tries} (
    nonce bigint PRIMARY KEY,
    attempt bigint NOT NULL,
    tried_at bigint NOT NULL
);
COMMENT ON TABLE {tries} IS
    'The latest try of a sign-in that was tried again. An earlier try is refused.';
CREATE INDEX ON {tries} (tried_at);

CREATE FUNCTION {now}(test_clock bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(test_clock, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
$$;

CREATE VIEW {list} AS
SELECT
    encode(id, 'hex') AS id,
    subject,
    to_timestamp(created_at / 1000.0) AS created,
    to_timestamp(last_seen_at / 1000.0) AS last_seen,
    to_timestamp({expiry} / 1000.0) AS expires,
    octet_length(entries) AS bytes
FROM {records}
WHERE ended_at IS NULL AND {now}(NULL) < {expiry};
COMMENT ON VIEW {list} IS
    'Who is signed in, since when, until when. An anonymous session has no subject.';

{begin}
{revoke}
{purge}
