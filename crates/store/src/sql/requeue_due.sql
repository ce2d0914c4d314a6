-- meta_retry_queue::requeue_due: events whose wait is over are ready again. Those that Meta will soon refuse for their age
-- go first; those of a dataset that is left alone stay
WITH due AS MATERIALIZED (
    SELECT dataset_id, event_number FROM meta_retry_queue q
    WHERE status = 'waiting' AND next_retry_at <= rastro_now() AND send_by > rastro_now() AND NOT EXISTS (
        SELECT FROM circuit_breakers c WHERE c.dataset_id = q.dataset_id
        AND (c.manual = 'forced_open' OR c.manual = 'automatic' AND c.state <> 'closed')
    )
    ORDER BY send_by LIMIT $1
    FOR UPDATE SKIP LOCKED
), moved AS (
    DELETE FROM meta_retry_queue q USING due
    WHERE q.dataset_id = due.dataset_id AND q.event_number = due.event_number
    RETURNING q.dataset_id, q.test_event_code, q.event_number, q.day, q.retry_count
), ready AS (
    INSERT INTO send_queue (dataset_id, test_event_code, first_number, day, event_count, event_numbers, retries)
    SELECT dataset_id, test_event_code, min(event_number), day, count(*), ranges_of(array_agg(event_number)), retry_count
    FROM moved
    GROUP BY dataset_id, test_event_code, day, event_number / 1000, retry_count
)
SELECT count(*) FROM moved
