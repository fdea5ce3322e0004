-- What came before knows all or nothing: who stood for one resource may ask about all tokens again.
ALTER TABLE oauth2_clients ADD COLUMN may_introspect BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE oauth2_clients SET may_introspect = TRUE WHERE may_introspect_for <> '[]';
ALTER TABLE oauth2_clients DROP COLUMN may_introspect_for;
