-- Temporary, until store_events_as_rows brings the same columns.
SET LOCAL lock_timeout = '5s';
ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS key_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE;
ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS event_names text[] CHECK (event_names <> '{}');
