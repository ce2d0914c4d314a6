-- What each real of advertising brought back: what was spent, which touches orders are credited to, and what comes next.
-- Days are those of the reporting zone, which the attribution service is configured with; of spend they are the ad account's.
-- Shares of orders, leads and customers are in millionths, so that sums of them are exact.
SET LOCAL lock_timeout = '5s';

CREATE TABLE ad_spend (
    dataset_id bigint NOT NULL REFERENCES datasets ON DELETE CASCADE,
    -- meta, google, ...: as in attribution_credits of paid touches.
    channel text NOT NULL CHECK (channel ~ '^[a-z0-9_-]{1,40}$'),
    -- Empty: not told.
    account_id text NOT NULL,
    day date NOT NULL,
    -- The campaign's id, or 'name:' and its name in lower case where the id is not known.
    campaign_key text NOT NULL CHECK (campaign_key <> ''),
    campaign_name text NOT NULL,
    -- 'name:' and the name in lower case: by which touches without the id find it. Empty: there is no name.
    name_key text NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- Millionths of the currency: rounded only as a sum.
    cost_micros bigint NOT NULL CHECK (cost_micros >= 0),
    -- NULL: not told.
    impressions bigint CHECK (impressions >= 0),
    clicks bigint CHECK (clicks >= 0),
    -- What the platform says that it sold, by its own rules.
    claimed_purchases bigint CHECK (claimed_purchases >= 0),
    claimed_micros bigint,
    -- The zone that its day is a day of; NULL: not told.
    account_time_zone text,
    source text NOT NULL CHECK (source IN ('csv', 'google_ads_csv', 'google_ads', 'meta_insights')),
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, channel, account_id, day, campaign_key)
);
CREATE INDEX ad_spend_by_day ON ad_spend (dataset_id, day);

-- Files and readings that changed spend. What was read and changed nothing is here too.
CREATE TABLE spend_imports (
    dataset_id bigint NOT NULL REFERENCES datasets ON DELETE CASCADE,
    import_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    source text NOT NULL,
    -- SHA-256 of the file; NULL: read from an API.
    content_hash bytea,
    first_day date,
    last_day date,
    added integer NOT NULL CHECK (added >= 0),
    changed integer NOT NULL CHECK (changed >= 0),
    unchanged integer NOT NULL CHECK (unchanged >= 0),
    imported_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, import_id)
);

-- People who bought, as numbers: all keys of one person lead to one number. Erasure deletes the keys; the numbers mean nothing then.
CREATE SEQUENCE customer_numbers;
CREATE TABLE customers (
    dataset_id bigint NOT NULL,
    -- HMACs as in leads: of an e-mail, a CPF, a phone, an id of the business's own, a visitor.
    key_hmac bytea NOT NULL,
    customer_id bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, key_hmac)
);

-- Paid orders as they were credited last.
CREATE TABLE credited_orders (
    dataset_id bigint NOT NULL,
    order_id text NOT NULL,
    -- When it was placed, not when money came: look-back windows end here. And its day.
    placed_at timestamptz NOT NULL,
    day date NOT NULL,
    currency text NOT NULL,
    -- Approved; what is left after refunds and chargebacks; what the payment provider keeps.
    gross_minor bigint NOT NULL,
    net_minor bigint NOT NULL,
    fee_minor bigint NOT NULL,
    -- NULL: nobody who is known.
    customer_id bigint,
    -- Its lead was known when it was credited. Where that is gone since, the touches stay those that were recorded.
    person_known boolean NOT NULL,
    -- Of all that it was credited by: the same means that nothing changed.
    fingerprint bytea NOT NULL,
    rules_version integer NOT NULL,
    credited_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, order_id)
);
CREATE INDEX credited_orders_by_day ON credited_orders (dataset_id, day);
CREATE INDEX credited_orders_by_customer ON credited_orders (dataset_id, customer_id, placed_at)
    WHERE customer_id IS NOT NULL;

-- The parts of each order under each model. Rows are not changed but superseded: what was reported once can be found again.
CREATE TABLE attribution_credits (
    dataset_id bigint NOT NULL,
    order_id text NOT NULL,
    model text NOT NULL CHECK (model IN (
        'linear', 'first', 'last', 'last_non_direct', 'time_decay', 'position', 'markov'
    )),
    -- Counts up each time the credits of this order under this model change.
    version integer NOT NULL CHECK (version > 0),
    -- The touch, from 1, the oldest first.
    position smallint NOT NULL CHECK (position > 0),
    -- NULL: no touch; channel is direct or unmatched.
    touched_at timestamptz,
    channel text NOT NULL,
    campaign_key text NOT NULL,
    campaign_name text NOT NULL,
    paid boolean NOT NULL,
    order_millionths bigint NOT NULL CHECK (order_millionths BETWEEN 0 AND 1000000),
    gross_minor bigint NOT NULL,
    net_minor bigint NOT NULL,
    fee_minor bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    superseded_at timestamptz,
    PRIMARY KEY (dataset_id, order_id, model, version, position)
);

CREATE TABLE attribution_runs (
    dataset_id bigint NOT NULL REFERENCES datasets ON DELETE CASCADE,
    run_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    -- recompute: asked for. sweep: each night, for touches that were told late.
    kind text NOT NULL CHECK (kind IN ('recompute', 'sweep')),
    -- Orders placed before it are left as they are.
    from_day date NOT NULL,
    -- Orders up to this one are done: a run that was stopped goes on here.
    cursor_order_id text NOT NULL DEFAULT '',
    orders_seen bigint NOT NULL DEFAULT 0,
    orders_changed bigint NOT NULL DEFAULT 0,
    rules_version integer NOT NULL,
    -- Look-back windows and the like, as they were.
    settings jsonb NOT NULL,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (dataset_id, run_id)
);
CREATE UNIQUE INDEX attribution_runs_open ON attribution_runs (dataset_id, kind) WHERE finished_at IS NULL;

-- How far the service has followed what changes, and what the Markov model learnt.
CREATE TABLE attribution_state (
    dataset_id bigint PRIMARY KEY REFERENCES datasets ON DELETE CASCADE,
    followed_until timestamptz,
    swept_on date,
    -- Channel to removal effect; NULL: there was not the volume.
    removal_effects jsonb,
    learnt_at timestamptz
);

-- Days whose sums are to be made again. Written with what changed them, deleted with the new sums.
CREATE TABLE campaign_days_due (
    dataset_id bigint NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (dataset_id, day)
);

-- What pages and BI tools read. Spend, impressions, clicks and claims are the same under every model: choose one.
CREATE TABLE campaign_daily (
    dataset_id bigint NOT NULL,
    day date NOT NULL,
    model text NOT NULL,
    channel text NOT NULL,
    -- Empty: none was named.
    campaign_key text NOT NULL,
    currency text NOT NULL,
    campaign_name text NOT NULL,
    paid boolean NOT NULL,
    spend_micros bigint NOT NULL,
    impressions bigint NOT NULL,
    clicks bigint NOT NULL,
    claimed_purchases bigint NOT NULL,
    claimed_micros bigint NOT NULL,
    leads_millionths bigint NOT NULL,
    qualified_millionths bigint NOT NULL,
    orders_millionths bigint NOT NULL,
    new_customers_millionths bigint NOT NULL,
    gross_minor bigint NOT NULL,
    net_minor bigint NOT NULL,
    fee_minor bigint NOT NULL,
    PRIMARY KEY (dataset_id, day, model, channel, campaign_key, currency)
);

-- Customers by the month of their first order, and what they brought in each month since.
CREATE TABLE cohort_monthly (
    dataset_id bigint NOT NULL,
    currency text NOT NULL,
    -- First of the month.
    cohort date NOT NULL CHECK (extract(day FROM cohort) = 1),
    age integer NOT NULL CHECK (age >= 0),
    -- Of the cohort, at every age the same.
    customers bigint NOT NULL CHECK (customers > 0),
    orders bigint NOT NULL,
    net_minor bigint NOT NULL,
    fee_minor bigint NOT NULL,
    PRIMARY KEY (dataset_id, currency, cohort, age)
);

-- Customers by the campaigns that their first orders are credited to (linear), and what they brought by age: a customer whom two
-- campaigns brought is half of each.
CREATE TABLE campaign_cohorts (
    dataset_id bigint NOT NULL,
    currency text NOT NULL,
    channel text NOT NULL,
    campaign_key text NOT NULL,
    age integer NOT NULL CHECK (age >= 0),
    -- At every age the same.
    customers_millionths bigint NOT NULL,
    net_minor bigint NOT NULL,
    fee_minor bigint NOT NULL,
    PRIMARY KEY (dataset_id, currency, channel, campaign_key, age)
);

-- Net revenue of days as the money came and went.
CREATE TABLE revenue_daily (
    dataset_id bigint NOT NULL,
    day date NOT NULL,
    currency text NOT NULL,
    gross_minor bigint NOT NULL,
    net_minor bigint NOT NULL,
    fee_minor bigint NOT NULL,
    PRIMARY KEY (dataset_id, day, currency)
);

CREATE TABLE revenue_forecasts (
    dataset_id bigint NOT NULL,
    currency text NOT NULL,
    -- First of the month it is about, and the day it was made on, from the days before it.
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    made_on date NOT NULL,
    -- Of the month, what was there already.
    actual_minor bigint NOT NULL,
    -- With what was there already.
    point_minor bigint NOT NULL,
    -- Of 80 %; NULL: too little history.
    lower_minor bigint,
    upper_minor bigint,
    interval_basis text CHECK (interval_basis IN ('back_tests', 'model')),
    CHECK ((lower_minor IS NULL) = (interval_basis IS NULL) AND (upper_minor IS NULL) = (interval_basis IS NULL)),
    method text NOT NULL,
    trained_days integer NOT NULL,
    back_tests integer NOT NULL,
    wape double precision,
    mape double precision,
    coverage double precision,
    PRIMARY KEY (dataset_id, currency, month, made_on)
);

CREATE INDEX leads_by_time ON leads (dataset_id, created_at);
CREATE INDEX purchases_by_change ON purchases (dataset_id, updated_at);
CREATE INDEX purchase_movements_by_booking ON purchase_movements (dataset_id, recorded_at);
