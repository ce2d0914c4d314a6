-- dashboard::replays: what was asked for in the last thirty days, and where those events are. $1 dataset id or NULL, $2 limit
WITH asked AS MATERIALIZED (
    SELECT request_id, detail, min(created_at) AS asked_at, array_agg(event_number ORDER BY event_number) AS numbers, dataset_id
    FROM event_outcomes
    WHERE outcome = 'retried' AND day >= ((rastro_now() - interval '30 days') AT TIME ZONE 'UTC')::date
        AND ($1::bigint IS NULL OR dataset_id = $1)
    GROUP BY request_id, detail, dataset_id ORDER BY asked_at DESC LIMIT $2
)
SELECT request_id, detail, asked_at, cardinality(numbers)::bigint AS events,
    (
        -- Of long replays the first thousand are looked for: Replay::LOOKED_FOR.
        SELECT count(*) FROM unnest(numbers[1:1000]) AS n
        WHERE EXISTS (
            SELECT FROM send_attempts a
            WHERE a.dataset_id = asked.dataset_id AND a.outcome = 'delivered'
                AND a.day >= (asked_at AT TIME ZONE 'UTC')::date AND a.attempted_at >= asked_at
                AND int8range(a.first_number, a.last_number, '[]') @> n AND a.event_numbers @> ARRAY[n]
        )
    ) AS delivered,
    (
        SELECT count(*) FROM meta_retry_queue r
        WHERE r.dataset_id = asked.dataset_id AND r.status = 'failed' AND r.failed_at >= asked_at
            AND r.event_number = ANY (asked.numbers)
    ) AS dead_again
FROM asked ORDER BY asked_at DESC
