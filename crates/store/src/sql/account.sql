-- account: where every accepted event is, in one snapshot
SELECT
    (SELECT coalesce(sum(event_count), 0)::bigint FROM event_segments) AS accepted,
    (SELECT coalesce(sum(event_count), 0)::bigint FROM send_queue) AS ready,
    (SELECT coalesce(sum(cardinality(event_numbers)), 0)::bigint FROM send_batches) AS in_flight,
    (SELECT count(*) FROM meta_retry_queue WHERE status = 'waiting') AS waiting,
    (SELECT count(*) FROM meta_retry_queue WHERE status = 'failed') AS failed,
    count(DISTINCT event_number) FILTER (WHERE outcome = 'success') AS delivered,
    count(*) FILTER (WHERE outcome = 'success') AS successes,
    count(*) FILTER (WHERE outcome = 'duplicate') AS duplicates
FROM meta_events_log
