-- The value of a lead, predicted from what the leads of its campaign became.
SET LOCAL lock_timeout = '5s';

-- none: a lead's event carries only a value that its sender gives it. predicted: where there is none, conversion rate times mean
-- net order of its campaign, if that has at least so many orders.
ALTER TABLE datasets
    ADD COLUMN lead_value text NOT NULL DEFAULT 'none' CHECK (lead_value IN ('none', 'predicted')),
    ADD COLUMN lead_value_minimum_orders integer NOT NULL DEFAULT 30
        CHECK (lead_value_minimum_orders BETWEEN 1 AND 1000000);

ALTER TABLE attribution_state ADD COLUMN lead_values_made_at timestamptz;

-- What leads of the last 180 days became that are at least 14 days old, by the campaign of their newest paid touch.
CREATE TABLE campaign_lead_values (
    dataset_id bigint NOT NULL REFERENCES datasets ON DELETE CASCADE,
    channel text NOT NULL,
    -- As in campaign_daily.
    campaign_key text NOT NULL CHECK (campaign_key <> ''),
    -- The dataset's own; orders in others do not count.
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    leads bigint NOT NULL CHECK (leads > 0),
    buyers bigint NOT NULL CHECK (buyers BETWEEN 0 AND leads),
    orders bigint NOT NULL CHECK (orders >= buyers),
    -- After refunds and chargebacks, in the smallest unit.
    net_minor bigint NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, channel, campaign_key)
);
