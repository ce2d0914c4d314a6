-- Datasets and keys are kept by people through the admin API and its commands, and who changed what is written down.
SET LOCAL lock_timeout = '5s';

ALTER TABLE datasets
    -- Where the business's days begin and end: a name of the IANA time zones.
    ADD COLUMN time_zone text NOT NULL DEFAULT 'America/Sao_Paulo' CHECK (time_zone <> ''),
    -- Which event a lead becomes when it comes to a status: an object of event names by status.
    ADD COLUMN lead_events jsonb NOT NULL DEFAULT '{"scheduled": "Schedule"}' CHECK (jsonb_typeof(lead_events) = 'object'),
    -- What Meta calls the dataset, and when it last said so of the access token that is stored. NULL: it has not.
    ADD COLUMN meta_name text,
    ADD COLUMN token_checked_at timestamptz,
    -- From then on its keys open nothing. What was accepted before is still sent.
    ADD COLUMN retired_at timestamptz;

ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_kind_check,
    -- viewer: sees the dashboard, of one dataset or of all.
    ADD CONSTRAINT api_keys_kind_check CHECK (kind IN ('publishable', 'secret', 'admin', 'viewer')),
    DROP CONSTRAINT api_keys_scope,
    ADD CONSTRAINT api_keys_scope CHECK (kind = 'viewer' OR (kind = 'admin') = (dataset_id IS NULL)),
    -- By what people tell keys apart: its kind and its last characters. NULL: it was not made here.
    ADD COLUMN shown text;

-- What people changed, written with the change. No secrets.
CREATE TABLE admin_log (
    entry_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    -- A person, by the name that was given with the key or the command.
    who text NOT NULL CHECK (who <> ''),
    -- dataset.create, dataset.change, dataset.token, dataset.retire, dataset.restore, key.create, key.revoke
    action text NOT NULL CHECK (action <> ''),
    -- NULL: of no dataset, as an admin key.
    dataset_id bigint,
    key_id bigint,
    detail jsonb NOT NULL CHECK (jsonb_typeof(detail) = 'object')
);
CREATE INDEX admin_log_by_dataset ON admin_log (dataset_id, entry_id);

-- For which statuses a lead has become an event, so that it does so once. Going back leaves it where it is.
ALTER TABLE leads ADD COLUMN IF NOT EXISTS events_of text[] NOT NULL DEFAULT '{}';
-- What is kept for so long and no longer is found by its age.
CREATE INDEX leads_by_age ON leads (updated_at);
CREATE INDEX touchpoints_by_age ON touchpoints (touched_at);
