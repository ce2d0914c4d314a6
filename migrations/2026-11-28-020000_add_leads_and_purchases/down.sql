DROP TABLE idempotency_keys, touchpoints, purchases, leads;
ALTER TABLE datasets DROP COLUMN purchase_source;
