-- A row in every table, for tests of migrations.

INSERT INTO signing_keys VALUES ('k', 'RS256', '{}', 'AAAA', 1, 1, NULL);
INSERT INTO revocations VALUES (1, 'token', 'i', 't', NULL, 9, 1, NULL);
INSERT INTO config_revisions VALUES (1, '{}', '00', 'cli', 5, 'first', TRUE);
INSERT INTO feed_identity VALUES (1, 7, 'AAAAAAAAAAAAAAAAAAAAAA==');
INSERT INTO oauth2_clients
    (client_id, name, type, grant_types, scopes, access_token_lifetime_secs, is_active, created_at,
     redirect_uris, origin, expires_unused_at, updated_at, may_introspect_for)
    VALUES ('c', 'C', 'public', '', '', 60, TRUE, 5, '["https://c.example.test/"]', 'registered', 9,
     5, '["*"]');
INSERT INTO api_keys (id, key_hash, subject, scopes, created_at, name, limits, request_count)
    VALUES ('a', '0000000000000000000000000000000000000000000000000000000000000000', 's', '', 5, 'A',
     'api', 3);
INSERT INTO users VALUES
    ('u', 'U@example.test', 'u@example.test', 'student', NULL, TRUE, 'F', 'L', NULL, NULL, NULL, FALSE,
     5, 5);
INSERT INTO user_identities VALUES ('corp', 's', 'u', 5);
INSERT INTO mfa_factors VALUES ('f', 'u', 'totp', 'phone', 'AAAA', NULL, 0, NULL, 5, NULL);
INSERT INTO consents VALUES ('u', 'c', 'read', '[]', 5);
INSERT INTO refresh_families VALUES
    ('0000000000000000000000000000000000000000000000000000000000000000', 'u', 'c', 's', 'read', 5, 9,
     NULL, NULL);
INSERT INTO service_registry VALUES
    ('shop', 'shop-1', '10.0.0.1', 8080, 'http', '', '/health', 30000, 5000, 3, 1, 100, 5, 60000,
     300000, 'healthy', 0, 7, NULL, NULL, NULL, NULL, 5, 5);
INSERT INTO audit_log VALUES
    (1, 5, 'system', 'user.created', 'u', '{}',
     '0000000000000000000000000000000000000000000000000000000000000000',
     '0000000000000000000000000000000000000000000000000000000000000000');
