-- event_counts::count: what happened to events within an hour, by the words of meta_events_log.
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
LEFT JOIN events e ON e.dataset_id = a.dataset_id AND e.event_number = n.event_number
    AND e.day BETWEEN a.first_day AND a.last_day AND e.day BETWEEN $3 AND $2
WHERE a.day = $2 AND a.attempted_at >= $1 AND a.attempted_at < $1 + interval '1 hour'
GROUP BY 1, 2, 3
UNION ALL
SELECT dataset_id, coalesce(event_name, ''), outcome, sum(event_count)::bigint
FROM event_outcomes
WHERE day = $2 AND created_at >= $1 AND created_at < $1 + interval '1 hour'
GROUP BY 1, 2, 3
