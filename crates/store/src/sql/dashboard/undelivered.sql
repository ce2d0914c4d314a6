-- dashboard::undelivered: accepted in the seven days that ended an hour ago, and what of it has not arrived.
-- $1 dataset id or NULL
WITH bounds AS MATERIALIZED (
    SELECT date_trunc('hour', rastro_now() - interval '7 days') AS since,
        coalesce(
            (
                SELECT min(event_number) FROM events
                WHERE day >= ((rastro_now() - interval '1 hour') AT TIME ZONE 'UTC')::date
                    AND received_at >= rastro_now() - interval '1 hour'
                    AND received_at < rastro_now() - interval '50 minutes'
            ),
            (
                SELECT min(event_number) FROM events
                WHERE day >= ((rastro_now() - interval '1 hour') AT TIME ZONE 'UTC')::date
                    AND received_at >= rastro_now() - interval '1 hour'
            ),
            9223372036854775807
        ) AS young
)
SELECT (
        SELECT coalesce(sum(events), 0)::bigint FROM event_counts
        WHERE outcome = 'accepted' AND hour >= since AND hour < date_trunc('hour', rastro_now() - interval '1 hour')
            AND ($1::bigint IS NULL OR dataset_id = $1)
    ) AS accepted,
    (
        SELECT count(*) FROM meta_retry_queue
        WHERE status = 'failed' AND day >= since::date AND event_number < young AND ($1::bigint IS NULL OR dataset_id = $1)
    ) AS dead,
    (
        SELECT count(*) FROM meta_retry_queue
        WHERE status = 'waiting' AND event_number < young AND ($1::bigint IS NULL OR dataset_id = $1)
    ) + (
        SELECT count(*) FROM ready_events WHERE event_number < young AND ($1::bigint IS NULL OR dataset_id = $1)
    ) AS late
FROM bounds
