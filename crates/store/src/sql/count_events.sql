-- event_counts::count: what happened to events within an hour, by the words of meta_events_log.
-- Each event of an attempt is looked up by its number: joined to `events` as a table it would, on a day without statistics, be
-- compared with every event of its dataset.
-- $1 the hour, $2 its day in UTC, $3 the oldest day of receipt that an attempt of then can name
SELECT dataset_id, event_name, 'accepted' AS outcome, count(*) AS events
FROM events
WHERE day = $2 AND received_at >= $1 AND received_at < $1 + interval '1 hour'
GROUP BY dataset_id, event_name
UNION ALL
SELECT a.dataset_id, coalesce(e.event_name, ''),
    CASE
        WHEN a.outcome = 'delivered' THEN 'success'
        WHEN a.outcome IN ('throttled', 'blocked') THEN 'parked'
        -- Split and sent again: each event gets its own verdict.
        WHEN a.outcome = 'refused' AND a.event_count > 1 THEN 'cut'
        ELSE 'error'
    END,
    count(*)
FROM send_attempts a CROSS JOIN LATERAL unnest(a.event_numbers) AS n (event_number)
LEFT JOIN LATERAL (
    SELECT event_name FROM events
    WHERE dataset_id = a.dataset_id AND event_number = n.event_number
        AND day BETWEEN a.first_day AND a.last_day AND day BETWEEN $3 AND $2
    LIMIT 1
) AS e ON true
WHERE a.day = $2 AND a.attempted_at >= $1 AND a.attempted_at < $1 + interval '1 hour'
GROUP BY 1, 2, 3
UNION ALL
SELECT dataset_id, coalesce(event_name, ''), outcome, sum(event_count)::bigint
FROM event_outcomes
WHERE day = $2 AND created_at >= $1 AND created_at < $1 + interval '1 hour'
GROUP BY 1, 2, 3
