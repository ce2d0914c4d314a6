SET LOCAL lock_timeout = '5s';

ALTER TABLE datasets DROP COLUMN cookie_domain, DROP COLUMN allowed_origins;
