-- What was revoked. Values are names, not secrets, and stand in clear for audits. Here
-- issued_before and expires_at are seconds since 1970, as in tokens; created_at is milliseconds,
-- as everywhere.

CREATE TABLE revocations (
    seq BIGINT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('token', 'session', 'subject', 'client', 'key')),
    issuer TEXT NOT NULL CHECK (length(issuer) <= 512),
    value TEXT NOT NULL CHECK (length(value) <= 1024),
    issued_before BIGINT,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    reason TEXT CHECK (length(reason) <= 256),
    UNIQUE (kind, issuer, value)
);

CREATE INDEX revocations_by_expiry ON revocations (expires_at);

-- The number given out last. Whoever revokes holds this row until the commit, so numbers ascend
-- in the order of commits, and none is given twice.
CREATE TABLE revocation_counter (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    last_seq BIGINT NOT NULL
);

INSERT INTO revocation_counter (id, last_seq) VALUES (1, 0);

-- Made by chance by the first server that asks. The key is base64.
CREATE TABLE feed_identity (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    epoch BIGINT NOT NULL CHECK (epoch > 0),
    fingerprint_key TEXT NOT NULL
);
