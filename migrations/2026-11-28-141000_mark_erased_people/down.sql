SET LOCAL lock_timeout = '5s';

ALTER TABLE leads DROP COLUMN erased;
ALTER TABLE datasets DROP COLUMN erasure_epoch;
