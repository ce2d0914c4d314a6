SET LOCAL lock_timeout = '2s';

DROP INDEX request_counts_by_hour;
DROP INDEX event_counts_by_hour;
