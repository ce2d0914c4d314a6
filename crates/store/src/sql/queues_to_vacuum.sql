-- maintenance::vacuum_queues: the queues in which dead rows have become many, but a vacuum is still a matter
-- of a moment
SELECT relname::text AS name FROM pg_stat_user_tables
WHERE relid IN ('send_queue'::regclass, 'send_batches'::regclass) AND n_dead_tup > 500 AND n_dead_tup > n_live_tup / 4
    AND pg_table_size(relid) < 256 * 1024 * 1024
