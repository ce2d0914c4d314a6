-- census: where every accepted event is, in one snapshot. Whole tables are read
SELECT
    (SELECT count(*) FROM events) AS accepted,
    (SELECT coalesce(sum(last_number - first_number + 1), 0)::bigint FROM send_queue) AS ready,
    (SELECT coalesce(sum(cardinality(event_numbers)), 0)::bigint FROM send_batches) AS in_flight,
    (SELECT count(*) FROM meta_retry_queue WHERE status = 'waiting') AS waiting,
    (SELECT count(*) FROM meta_retry_queue WHERE status = 'failed') AS dead,
    (SELECT count(*) FROM event_outcomes WHERE outcome = 'withheld') AS withheld,
    (SELECT count(*) FROM event_outcomes WHERE outcome = 'duplicate') AS duplicates,
    count(DISTINCT (a.dataset_id, n)) AS delivered,
    count(n) AS confirmations
FROM send_attempts a CROSS JOIN LATERAL unnest(a.event_numbers) AS n
WHERE a.outcome = 'delivered'
