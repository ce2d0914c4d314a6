SET LOCAL lock_timeout = '2s';

DROP INDEX meta_retry_queue_purge;
