-- event_counts_daily::day_in_numbers: a day of all datasets, and what is the matter now.
-- $1 the day
SELECT coalesce(sum(c.events) FILTER (WHERE c.outcome = 'accepted'), 0)::bigint AS accepted,
    coalesce(sum(c.events) FILTER (WHERE c.outcome = 'success'), 0)::bigint AS delivered,
    coalesce(sum(c.events) FILTER (WHERE c.outcome = 'duplicate'), 0)::bigint AS duplicates,
    (SELECT count(*) FROM meta_retry_queue WHERE status = 'failed') AS dead_letters,
    (SELECT count(*) FROM meta_retry_queue
        WHERE send_by > rastro_now() AND send_by < rastro_now() + interval '24 hours') AS expiring
FROM datasets d JOIN event_counts_daily c ON c.dataset_id = d.dataset_id AND c.day = $1
