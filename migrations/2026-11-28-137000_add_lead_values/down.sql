SET LOCAL lock_timeout = '5s';

DROP TABLE campaign_lead_values;
ALTER TABLE attribution_state DROP COLUMN lead_values_made_at;
ALTER TABLE datasets DROP COLUMN lead_value_minimum_orders, DROP COLUMN lead_value;
