SET LOCAL lock_timeout = '2s';

-- Dead letters of days whose events are dropped are looked for every minute, whatever the number of the others.
CREATE INDEX meta_retry_queue_purge ON meta_retry_queue (day) WHERE status = 'failed';
