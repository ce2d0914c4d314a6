SET LOCAL lock_timeout = '2s';

ALTER TABLE meta_retry_queue DROP COLUMN failed_alone;
