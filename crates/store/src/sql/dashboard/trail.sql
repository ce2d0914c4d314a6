-- dashboard::trail: where the events received since midnight are, in one snapshot. Hours that are closed come from counts, the
-- rest is counted. Which events are today's is told by their numbers, from the first of them on.
-- $1 dataset id or NULL, $2 midnight
WITH bounds AS MATERIALIZED (
    SELECT $2::timestamptz AS midnight, ($2::timestamptz AT TIME ZONE 'UTC')::date AS day,
        (
            SELECT CASE WHEN count(*) = extract(epoch FROM max(hour) + interval '1 hour' - $2) / 3600
                THEN max(hour) + interval '1 hour' ELSE $2 END
            FROM counted_hours WHERE closed AND hour >= $2
        ) AS counted_until,
        coalesce(
            (
                SELECT min(event_number) FROM events
                WHERE day >= ($2::timestamptz AT TIME ZONE 'UTC')::date
                    AND received_at >= $2 AND received_at < $2 + interval '15 minutes'
            ),
            (
                SELECT min(event_number) FROM events
                WHERE day >= ($2::timestamptz AT TIME ZONE 'UTC')::date AND received_at >= $2
            ),
            9223372036854775807
        ) AS first_number
),
counted AS MATERIALIZED (
    SELECT coalesce(sum(events) FILTER (WHERE outcome = 'accepted'), 0)::bigint AS accepted,
        coalesce(sum(events) FILTER (WHERE outcome = 'duplicate'), 0)::bigint AS duplicates,
        coalesce(sum(events) FILTER (WHERE outcome = 'withheld'), 0)::bigint AS withheld,
        coalesce(sum(events) FILTER (WHERE outcome = 'success'), 0)::bigint AS delivered
    FROM event_counts, bounds
    WHERE hour >= midnight AND hour < counted_until AND ($1::bigint IS NULL OR dataset_id = $1)
)
SELECT rastro_now() AS now,
    counted.accepted + (
        SELECT count(*) FROM events e
        WHERE e.day >= (SELECT (counted_until AT TIME ZONE 'UTC')::date FROM bounds)
            AND e.received_at >= (SELECT counted_until FROM bounds) AND ($1::bigint IS NULL OR e.dataset_id = $1)
    ) AS accepted,
    counted.duplicates + outcomes.duplicates AS duplicates,
    counted.withheld + outcomes.withheld AS withheld,
    (
        SELECT count(DISTINCT dataset_id) FROM event_counts, bounds
        WHERE hour >= midnight AND outcome = 'accepted' AND ($1::bigint IS NULL OR dataset_id = $1)
    ) AS datasets,
    ready.ready,
    (
        SELECT e.received_at FROM events e
        WHERE e.dataset_id = ready.dataset_id AND e.event_number = ready.event_number AND e.day = ready.day
    ) AS oldest_ready_at,
    flight.in_flight, flight.batches,
    later.waiting, later.next_retry_at, later.dead, later.dead_deadline,
    counted.delivered + (
        SELECT coalesce(sum(a.event_count), 0)::bigint FROM send_attempts a
        WHERE a.day >= (SELECT (counted_until AT TIME ZONE 'UTC')::date FROM bounds)
            AND a.attempted_at >= (SELECT counted_until FROM bounds) AND a.outcome = 'delivered'
            AND ($1::bigint IS NULL OR a.dataset_id = $1)
    ) - (
        -- Delivered today, and received before.
        SELECT count(*) FROM send_attempts a CROSS JOIN LATERAL unnest(a.event_numbers) AS n
        WHERE a.day >= (SELECT day FROM bounds) AND a.attempted_at >= (SELECT midnight FROM bounds)
            AND a.outcome = 'delivered' AND a.first_number < (SELECT first_number FROM bounds)
            AND n < (SELECT first_number FROM bounds) AND ($1::bigint IS NULL OR a.dataset_id = $1)
    ) AS delivered
FROM bounds CROSS JOIN counted
CROSS JOIN LATERAL (
    SELECT coalesce(sum(event_count) FILTER (WHERE outcome = 'duplicate'), 0)::bigint AS duplicates,
        coalesce(sum(event_count) FILTER (WHERE outcome = 'withheld'), 0)::bigint AS withheld
    FROM event_outcomes o
    WHERE o.day >= (bounds.counted_until AT TIME ZONE 'UTC')::date AND o.created_at >= bounds.counted_until
        AND ($1::bigint IS NULL OR o.dataset_id = $1)
) AS outcomes
CROSS JOIN LATERAL (
    SELECT coalesce(sum(q.last_number - greatest(q.first_number, bounds.first_number) + 1), 0)::bigint AS ready,
        (array_agg(q.dataset_id ORDER BY q.first_number))[1] AS dataset_id,
        greatest(min(q.first_number), bounds.first_number) AS event_number, (array_agg(q.day ORDER BY q.first_number))[1] AS day
    FROM send_queue q WHERE q.last_number >= bounds.first_number AND ($1::bigint IS NULL OR q.dataset_id = $1)
) AS ready
CROSS JOIN LATERAL (
    SELECT count(n) AS in_flight, count(DISTINCT (b.dataset_id, b.batch_id)) AS batches
    FROM send_batches b CROSS JOIN LATERAL unnest(b.event_numbers) AS n
    WHERE n >= bounds.first_number AND ($1::bigint IS NULL OR b.dataset_id = $1)
) AS flight
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'waiting') AS waiting,
        min(next_retry_at) FILTER (WHERE status = 'waiting') AS next_retry_at,
        count(*) FILTER (WHERE status = 'failed') AS dead,
        min(send_by) FILTER (WHERE status = 'failed' AND send_by > rastro_now()) AS dead_deadline
    FROM meta_retry_queue r WHERE r.event_number >= bounds.first_number AND ($1::bigint IS NULL OR r.dataset_id = $1)
) AS later
