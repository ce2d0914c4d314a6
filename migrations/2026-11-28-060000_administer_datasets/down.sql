SET LOCAL lock_timeout = '5s';

DROP INDEX touchpoints_by_age, leads_by_age;
-- leads.events_of stays. No program of before sees it, and without it a lead would become its events a second time after the way
-- forth again.
DROP TABLE admin_log;
-- The schema of before knows no retired datasets: a closed door stays closed, one key at a time.
UPDATE api_keys SET revoked_at = d.retired_at FROM datasets AS d
WHERE d.dataset_id = api_keys.dataset_id AND d.retired_at IS NOT NULL AND api_keys.revoked_at IS NULL;
-- The schema of before knows no viewers.
DELETE FROM api_keys WHERE kind = 'viewer';
ALTER TABLE api_keys
    DROP COLUMN shown,
    DROP CONSTRAINT api_keys_scope,
    ADD CONSTRAINT api_keys_scope CHECK ((kind = 'admin') = (dataset_id IS NULL)),
    DROP CONSTRAINT api_keys_kind_check,
    ADD CONSTRAINT api_keys_kind_check CHECK (kind IN ('publishable', 'secret', 'admin'));
ALTER TABLE datasets
    DROP COLUMN retired_at,
    DROP COLUMN token_checked_at,
    DROP COLUMN meta_name,
    DROP COLUMN lead_events,
    DROP COLUMN time_zone;
