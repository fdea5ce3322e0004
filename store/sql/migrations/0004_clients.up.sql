-- What people let a client do, and how it proves who it is. Lists of URIs are JSON arrays, other
-- lists names separated by spaces. What bounds there are stands in code: SQLite drops no column
-- that a CHECK speaks of.

ALTER TABLE oauth2_clients ADD COLUMN response_types TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth2_clients ADD COLUMN redirect_uris TEXT NOT NULL DEFAULT '[]';
ALTER TABLE oauth2_clients ADD COLUMN post_logout_redirect_uris TEXT NOT NULL DEFAULT '[]';
ALTER TABLE oauth2_clients ADD COLUMN require_pkce BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE oauth2_clients ADD COLUMN require_consent BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE oauth2_clients ADD COLUMN require_par BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE oauth2_clients ADD COLUMN bind_dpop BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE oauth2_clients ADD COLUMN refresh_token_lifetime_secs BIGINT NOT NULL DEFAULT 604800;
ALTER TABLE oauth2_clients ADD COLUMN rate_limit_policy TEXT;
ALTER TABLE oauth2_clients ADD COLUMN auth_method TEXT NOT NULL DEFAULT 'client_secret_basic';
ALTER TABLE oauth2_clients ADD COLUMN jwks TEXT;
ALTER TABLE oauth2_clients ADD COLUMN jwks_uri TEXT;
ALTER TABLE oauth2_clients ADD COLUMN tls_subject TEXT;
ALTER TABLE oauth2_clients ADD COLUMN resources TEXT NOT NULL DEFAULT '[]';
ALTER TABLE oauth2_clients ADD COLUMN may_introspect BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE oauth2_clients ADD COLUMN may_act_for TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth2_clients ADD COLUMN id_token_alg TEXT NOT NULL DEFAULT 'RS256';
ALTER TABLE oauth2_clients ADD COLUMN logo_uri TEXT;
ALTER TABLE oauth2_clients ADD COLUMN client_uri TEXT;
ALTER TABLE oauth2_clients ADD COLUMN policy_uri TEXT;
ALTER TABLE oauth2_clients ADD COLUMN origin TEXT NOT NULL DEFAULT 'operator';
ALTER TABLE oauth2_clients ADD COLUMN expires_unused_at BIGINT;
ALTER TABLE oauth2_clients ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;

-- Clients from before this.
UPDATE oauth2_clients SET updated_at = created_at;
UPDATE oauth2_clients SET auth_method = 'none' WHERE type = 'public';
