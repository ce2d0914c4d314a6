-- What the monitor knows: counts that a page reads instead of the log, alerts and what was said about them, Meta's score of the
-- events, and who looks at the page. Nothing here holds personal data of visitors.
SET LOCAL lock_timeout = '5s';

-- ---- settings ----

-- The one row of what SQL has to know of the monitor's configuration.
CREATE TABLE monitor_settings (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- The reporting zone: days of event_counts_daily and of the views in schema bi are its days.
    time_zone text NOT NULL DEFAULT 'America/Sao_Paulo'
);
INSERT INTO monitor_settings DEFAULT VALUES;

-- ---- counts: whole hours in UTC, counted again until they are closed ----

CREATE TABLE event_counts (
    dataset_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    -- '': the row that was counted has no name (a refused event, an event whose row was gone).
    event_name text NOT NULL,
    -- The words of meta_events_log, and cut: sent in a request that was refused and split, so that this is no verdict on the event.
    outcome text NOT NULL CHECK (outcome IN (
        'accepted', 'duplicate', 'refused', 'success', 'error', 'cut', 'parked', 'expired', 'retried', 'missing',
        'dataset_deleted', 'withheld', 'erased'
    )),
    events bigint NOT NULL CHECK (events > 0),
    PRIMARY KEY (dataset_id, hour, event_name, outcome)
);

CREATE TABLE request_counts (
    dataset_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    -- 0 to 17: width_bucket(latency_ms, latency_limits()). 99: Meta did not answer.
    bucket smallint NOT NULL CHECK (bucket BETWEEN 0 AND 17 OR bucket = 99),
    requests bigint NOT NULL CHECK (requests > 0),
    -- Of the answered ones together, for the average that is asked for.
    latency_ms bigint NOT NULL CHECK (latency_ms >= 0 AND (bucket <> 99 OR latency_ms = 0)),
    PRIMARY KEY (dataset_id, hour, bucket)
);

-- The upper limits of the latency buckets, in ms. The promise (1 s) and the alert (2 s) are among them: shares above them are exact.
CREATE FUNCTION latency_limits() RETURNS integer[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY[50, 75, 100, 150, 200, 250, 300, 400, 500, 600, 800, 1000, 1500, 2000, 3000, 5000, 10000]
$$;

-- Which hours are counted. A closed one is never counted again: its rows may be gone by then.
CREATE TABLE counted_hours (
    hour timestamptz PRIMARY KEY CHECK (extract(epoch FROM hour) % 3600 = 0),
    closed boolean NOT NULL,
    counted_at timestamptz NOT NULL,
    -- How long counting it took: an hour that takes long is counted less often while it is open.
    took_ms integer NOT NULL CHECK (took_ms >= 0)
);

-- Sums of hours by day of the reporting zone.
CREATE TABLE event_counts_daily (
    dataset_id bigint NOT NULL,
    day date NOT NULL,
    event_name text NOT NULL,
    outcome text NOT NULL,
    events bigint NOT NULL CHECK (events > 0),
    PRIMARY KEY (dataset_id, day, event_name, outcome)
);

-- ---- alerts ----

-- One occurrence of (rule, dataset, group): its row is its state. A quiet rule has none.
CREATE TABLE alerts (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text NOT NULL CHECK (rule <> ''),
    -- NULL: it is about the whole system.
    dataset_id bigint,
    -- What else tells alerts of one rule apart: a reason and a code, an event name. '': nothing.
    group_key text NOT NULL DEFAULT '',
    state text NOT NULL CHECK (state IN ('pending', 'firing', 'resolved')),
    severity text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    pending_since timestamptz NOT NULL,
    fired_at timestamptz,
    -- Since when it has been below its lower threshold without a break.
    clear_since timestamptz,
    resolved_at timestamptz,
    last_true_at timestamptz NOT NULL,
    value double precision NOT NULL,
    worst_value double precision NOT NULL,
    -- What its threshold was when it was last looked at.
    threshold double precision NOT NULL,
    -- What its sentence is made of, as measured last.
    facts jsonb NOT NULL,
    -- Times it came back within an hour of resolving. From two on it is unstable: nothing more is said until it is quiet.
    reopened smallint NOT NULL DEFAULT 0 CHECK (reopened >= 0),
    -- When somebody was last told that it is open, of which severity and value. NULL: nobody was.
    told_at timestamptz,
    told_severity text CHECK (told_severity IN ('info', 'warning', 'critical')),
    told_value double precision,
    -- How often it was said to be open (a snooze that ends makes it new), reminded of, and that it became worse.
    openings integer NOT NULL DEFAULT 0 CHECK (openings >= 0),
    reminders smallint NOT NULL DEFAULT 0 CHECK (reminders >= 0),
    worse_told boolean NOT NULL DEFAULT false,
    -- What follows from another alert is not said while that one is open.
    muted_by text,
    acknowledged_at timestamptz,
    acknowledged_by text,
    snoozed_until timestamptz,
    snoozed_by text,
    CHECK ((state = 'pending') = (fired_at IS NULL)),
    CHECK (state <> 'pending' OR told_at IS NULL),
    CHECK ((state = 'resolved') = (resolved_at IS NOT NULL)),
    CHECK (num_nulls(told_at, told_severity, told_value) IN (0, 3)),
    CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
    CHECK ((snoozed_until IS NULL) = (snoozed_by IS NULL))
);
-- Of the same thing there is one alert at a time.
CREATE UNIQUE INDEX alerts_open ON alerts (rule, coalesce(dataset_id, 0), group_key) WHERE state IN ('pending', 'firing');
CREATE INDEX alerts_resolved ON alerts (resolved_at) WHERE state = 'resolved';

-- What is to be said, written in the transaction that changes the alert, and sent afterwards.
CREATE TABLE alert_messages (
    message_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- NULL: about no single alert (the daily mail, a channel that was switched off, a test).
    alert_id bigint REFERENCES alerts ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('opened', 'worse', 'reminder', 'resolved', 'daily', 'channel_off', 'test')),
    sequence integer NOT NULL CHECK (sequence > 0),
    -- slack, email.
    channel text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    -- What it says, as it was when it was written.
    facts jsonb NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed')),
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    attempts smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL,
    -- What was sent together is one message: the message_id of its first.
    bundle_id bigint,
    -- Slack's name of the message, by which it is edited; of a mail its Message-ID.
    provider_id text,
    last_error text,
    UNIQUE (alert_id, kind, sequence, channel),
    CHECK ((alert_id IS NULL) = (kind IN ('daily', 'channel_off', 'test'))),
    CHECK ((state = 'sent') = (sent_at IS NOT NULL)),
    CHECK (state <> 'sent' OR bundle_id IS NOT NULL)
);
CREATE INDEX alert_messages_waiting ON alert_messages (channel, next_attempt_at) WHERE state = 'waiting';
CREATE INDEX alert_messages_sent ON alert_messages (channel, sent_at) WHERE state = 'sent';
-- One daily mail a day and channel.
CREATE UNIQUE INDEX alert_messages_daily ON alert_messages (channel, sequence) WHERE kind = 'daily';

-- A channel that will not work until somebody changes its configuration, and by which configuration that is known.
CREATE TABLE alert_channels (
    channel text PRIMARY KEY,
    disabled_at timestamptz NOT NULL,
    reason text NOT NULL,
    -- SHA-256 of the address and the secret: with another one it is tried again.
    config_hash bytea NOT NULL CHECK (octet_length(config_hash) = 32)
);

-- Planned silence of a rule, of a dataset, or of a rule in a dataset.
CREATE TABLE alert_silences (
    silence_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text CHECK (rule <> ''),
    dataset_id bigint,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL CHECK (created_by <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    CHECK (ends_at > starts_at AND ends_at <= starts_at + interval '14 days')
);
CREATE INDEX alert_silences_end ON alert_silences (ends_at);

-- How evaluating each rule went. One that cannot be evaluated keeps the state of its alerts, and is an alert itself.
CREATE TABLE alert_rules (
    rule text PRIMARY KEY,
    failed_runs integer NOT NULL CHECK (failed_runs >= 0),
    last_error text,
    evaluated_at timestamptz NOT NULL,
    CHECK ((failed_runs = 0) = (last_error IS NULL))
);

-- The account of a closed day (UTC): what was accepted, and how much of it is nowhere. Anything but 0 is a defect of ours.
CREATE TABLE event_accounts (
    day date PRIMARY KEY,
    accepted bigint NOT NULL,
    missing bigint NOT NULL,
    checks smallint NOT NULL CHECK (checks > 0),
    checked_at timestamptz NOT NULL
);

CREATE TABLE monitor_runs (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    -- Every step of it went well.
    ok boolean NOT NULL,
    -- Rules evaluated, transitions, messages written and sent, hours counted.
    rules integer NOT NULL,
    transitions integer NOT NULL,
    messages_sent integer NOT NULL,
    hours_counted integer NOT NULL,
    -- Of days that have events, how many are counted; equal once the past is.
    history_days integer NOT NULL,
    history_counted integer NOT NULL,
    error text,
    CHECK (ok = (error IS NULL))
);
CREATE INDEX monitor_runs_good ON monitor_runs (finished_at) WHERE ok;

-- ---- Meta's own judgement of the events ----

CREATE TABLE dataset_quality (
    dataset_id bigint NOT NULL,
    -- Of the reporting zone, on which it was fetched.
    day date NOT NULL,
    event_name text NOT NULL,
    -- 0 to 10. NULL: Meta gives none, for too few events.
    score numeric(3, 1) CHECK (score BETWEEN 0 AND 10),
    -- Ours, by the keys that the events of 48 hours carried. NULL: fewer than 50 events.
    estimate numeric(3, 1) CHECK (estimate BETWEEN 0 AND 10),
    -- Shares in percent.
    dedupe_coverage numeric(4, 1),
    event_coverage numeric(4, 1),
    -- real_time, hourly, daily, ...: Meta's word.
    freshness text,
    fetched_at timestamptz NOT NULL,
    -- The answer, for 30 days.
    raw jsonb,
    PRIMARY KEY (dataset_id, day, event_name)
);

CREATE TABLE dataset_quality_keys (
    dataset_id bigint NOT NULL,
    day date NOT NULL,
    event_name text NOT NULL,
    -- email, phone, ip_address, ...: Meta's words.
    identifier text NOT NULL,
    coverage_percent numeric(4, 1),
    gain_percent numeric(6, 1),
    PRIMARY KEY (dataset_id, day, event_name, identifier),
    FOREIGN KEY (dataset_id, day, event_name) REFERENCES dataset_quality ON DELETE CASCADE
);

-- When Meta was asked about a dataset last, and when it is next.
CREATE TABLE dataset_quality_fetches (
    dataset_id bigint PRIMARY KEY,
    -- readable: the score was read. unreadable: the token may send and not read. failed: Meta did not answer, or said wait.
    state text NOT NULL CHECK (state IN ('readable', 'unreadable', 'failed')),
    -- Since when it has been in this state.
    since timestamptz NOT NULL,
    asked_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    failures smallint NOT NULL DEFAULT 0 CHECK (failures >= 0),
    error_code integer,
    last_error text,
    CHECK ((state = 'readable') = (last_error IS NULL))
);

-- ---- who looks ----

-- viewer: sees the dashboard, of one dataset or (NULL) of all.
ALTER TABLE api_keys DROP CONSTRAINT IF EXISTS api_keys_kind_check,
    ADD CONSTRAINT api_keys_kind_check CHECK (kind IN ('publishable', 'secret', 'admin', 'viewer'));
ALTER TABLE api_keys DROP CONSTRAINT IF EXISTS api_keys_scope,
    ADD CONSTRAINT api_keys_scope CHECK (kind = 'viewer' OR (kind = 'admin') = (dataset_id IS NULL));

CREATE TABLE dashboard_sessions (
    -- SHA-256 of the 32 random bytes in the cookie.
    session_hash bytea PRIMARY KEY CHECK (octet_length(session_hash) = 32),
    role text NOT NULL CHECK (role IN ('viewer', 'operator')),
    -- NULL: all of them.
    dataset_id bigint,
    -- As typed at the entrance: keys are shared, orders are signed.
    name text NOT NULL CHECK (name <> ''),
    -- A session ends with its key.
    key_hash bytea NOT NULL REFERENCES api_keys ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    -- 12 hours after it was last used, and 7 days after it began at the latest.
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at AND expires_at <= created_at + interval '7 days'),
    CHECK (role = 'viewer' OR dataset_id IS NULL)
);
CREATE INDEX dashboard_sessions_expiry ON dashboard_sessions (expires_at);
