DROP TABLE mfa_factors;
DROP TABLE user_identities;
DROP TABLE users;
