SET LOCAL lock_timeout = '5s';

ALTER TABLE datasets DROP COLUMN remember_clicks;
