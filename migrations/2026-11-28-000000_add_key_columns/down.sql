ALTER TABLE api_keys DROP COLUMN key_id, DROP COLUMN event_names;
