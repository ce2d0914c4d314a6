-- meta_retry_queue::expire_waiting: what became too old for Meta while it waited is a dead letter.
-- $1 how many at most
WITH old AS MATERIALIZED (
    SELECT dataset_id, event_number FROM meta_retry_queue
    WHERE status = 'waiting' AND send_by <= rastro_now()
    ORDER BY send_by LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE meta_retry_queue r
SET status = 'failed', reason = 'expired', next_retry_at = NULL, failed_at = rastro_now()
FROM old WHERE r.dataset_id = old.dataset_id AND r.event_number = old.event_number
RETURNING r.dataset_id, r.event_number, r.event_name, r.event_id, 'too old for Meta; last: ' || r.last_error AS detail
