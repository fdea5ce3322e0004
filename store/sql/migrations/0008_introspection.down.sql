-- What came before knows all or nothing: who may ask about one resource alone may ask about none.
ALTER TABLE oauth2_clients DROP COLUMN may_introspect_for;
