DROP TABLE api_keys;
DROP TABLE signing_keys;
DROP TABLE oauth2_clients;
