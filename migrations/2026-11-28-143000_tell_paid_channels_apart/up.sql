-- A channel that was paid and is called like one that costs nothing (whatsapp, email) has a name of its own, whatsapp_ads: one sum
-- of both said of all of its revenue that ads had brought it.
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION is_unpaid_channel(channel text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    channel IN ('email', 'sms', 'whatsapp', 'push', 'organic_search', 'organic_social', 'referral', 'direct', 'unmatched');

-- Sums of such days are made again.
INSERT INTO campaign_days_due (dataset_id, day)
SELECT DISTINCT dataset_id, day FROM campaign_daily WHERE paid AND is_unpaid_channel(channel)
ON CONFLICT DO NOTHING;

UPDATE ad_spend SET channel = channel || '_ads' WHERE is_unpaid_channel(channel);
-- Past versions too: only the name is another.
UPDATE attribution_credits SET channel = channel || '_ads' WHERE paid AND is_unpaid_channel(channel);
-- Both are of paid touches alone.
UPDATE campaign_cohorts SET channel = channel || '_ads' WHERE is_unpaid_channel(channel);
UPDATE campaign_lead_values SET channel = channel || '_ads' WHERE is_unpaid_channel(channel);

ALTER TABLE ad_spend ADD CONSTRAINT ad_spend_paid_channel CHECK (NOT is_unpaid_channel(channel));
ALTER TABLE attribution_credits ADD CONSTRAINT attribution_credits_paid_channel CHECK (NOT (paid AND is_unpaid_channel(channel)));
