-- event_accounts: of the events accepted on a closed day, how many are in no place: neither ready, in flight, waiting, dead nor
-- withheld, nor delivered, erased or given up.
-- $1 the day
WITH delivered AS MATERIALIZED (
    SELECT a.dataset_id, n AS event_number FROM send_attempts a CROSS JOIN LATERAL unnest(a.event_numbers) AS n
    WHERE a.outcome = 'delivered' AND a.day >= $1 AND a.first_day <= $1
), flying AS MATERIALIZED (
    SELECT b.dataset_id, n AS event_number FROM send_batches b CROSS JOIN LATERAL unnest(b.event_numbers) AS n
    WHERE b.first_day <= $1
), undelivered AS MATERIALIZED (
    -- As a join: looked up one by one, a day of a million events would be compared with a million deliveries each.
    SELECT e.dataset_id, e.event_number, e.test_event_code FROM events e
    WHERE e.day = $1
        AND NOT EXISTS (SELECT FROM delivered v WHERE v.dataset_id = e.dataset_id AND v.event_number = e.event_number)
)
SELECT (SELECT count(*) FROM events WHERE day = $1) AS accepted, (
    SELECT count(*) FROM undelivered e
    WHERE NOT EXISTS (SELECT FROM send_queue q WHERE q.dataset_id = e.dataset_id AND q.test_event_code = e.test_event_code
            AND e.event_number BETWEEN q.first_number AND q.last_number)
        AND NOT EXISTS (SELECT FROM meta_retry_queue r WHERE r.dataset_id = e.dataset_id AND r.event_number = e.event_number)
        AND NOT EXISTS (SELECT FROM flying f WHERE f.dataset_id = e.dataset_id AND f.event_number = e.event_number)
        AND NOT EXISTS (SELECT FROM event_outcomes o WHERE o.dataset_id = e.dataset_id AND o.event_number = e.event_number
            AND o.outcome IN ('withheld', 'erased', 'expired', 'missing', 'dataset_deleted'))
) AS missing
