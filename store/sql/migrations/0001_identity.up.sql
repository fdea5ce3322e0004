-- What the authorization server needs first. Types are those that SQLite and PostgreSQL share:
-- times are milliseconds since 1970 in BIGINT, hashes hexadecimal and sealed bytes base64 in
-- TEXT, lists names separated by spaces.

CREATE TABLE oauth2_clients (
    client_id TEXT PRIMARY KEY,
    secret_hash TEXT,
    name TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('public', 'confidential')),
    grant_types TEXT NOT NULL,
    scopes TEXT NOT NULL,
    access_token_lifetime_secs BIGINT NOT NULL CHECK (access_token_lifetime_secs > 0),
    is_active BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL,
    public_jwk TEXT NOT NULL,
    private_sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    activates_at BIGINT NOT NULL,
    retires_at BIGINT
);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    key_hash TEXT NOT NULL,
    subject TEXT NOT NULL,
    client_id TEXT,
    scopes TEXT NOT NULL,
    tier TEXT,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
