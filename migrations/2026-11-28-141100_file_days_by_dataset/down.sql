SET LOCAL lock_timeout = '5s';

ALTER TABLE attribution_state DROP COLUMN filed_by;
