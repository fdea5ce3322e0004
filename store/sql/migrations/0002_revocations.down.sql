DROP TABLE feed_identity;
DROP TABLE revocation_counter;
DROP TABLE revocations;
