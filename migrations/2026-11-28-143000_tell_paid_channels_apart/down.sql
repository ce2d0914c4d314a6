SET LOCAL lock_timeout = '5s';

-- The names stay: a channel may have been called whatsapp_ads before.
ALTER TABLE attribution_credits DROP CONSTRAINT attribution_credits_paid_channel;
ALTER TABLE ad_spend DROP CONSTRAINT ad_spend_paid_channel;
DROP FUNCTION is_unpaid_channel(text);
