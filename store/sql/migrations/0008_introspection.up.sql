-- For which resources a client may ask about tokens of others: a JSON array of values of `aud`, or
-- `*`. Those that might ask still may, about all. may_introspect stays for servers that came before:
-- it says whether a client may ask about all.

ALTER TABLE oauth2_clients ADD COLUMN may_introspect_for TEXT NOT NULL DEFAULT '[]';
UPDATE oauth2_clients SET may_introspect_for = '["*"]' WHERE may_introspect;
