-- Who did what to whom, each entry chained to the one before it: hash is of all else in the row, and
-- previous the hash of the row before.

CREATE TABLE audit_log (
    seq BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);

-- Where the log ends. Whoever appends holds this row until the commit, and takes it last: entries
-- stand in the order of commits, without gaps, and nobody waits in a circle.
CREATE TABLE audit_head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    last_seq BIGINT NOT NULL,
    hash TEXT NOT NULL
);

INSERT INTO audit_head (id, last_seq, hash)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
