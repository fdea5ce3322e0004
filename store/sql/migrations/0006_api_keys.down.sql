DROP INDEX api_keys_by_subject;
ALTER TABLE api_keys DROP COLUMN request_count;
ALTER TABLE api_keys DROP COLUMN last_used_at;
ALTER TABLE api_keys DROP COLUMN limits;
ALTER TABLE api_keys DROP COLUMN successor;
ALTER TABLE api_keys DROP COLUMN name;
