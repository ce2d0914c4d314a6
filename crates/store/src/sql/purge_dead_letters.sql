-- meta_retry_queue::purge_dead_letters: deletes dead letters of days whose events are dropped.
-- $1 for how many days events are kept, $2 how many at most
WITH old AS MATERIALIZED (
    SELECT dataset_id, event_number FROM meta_retry_queue
    WHERE status = 'failed' AND day < (rastro_now() AT TIME ZONE 'UTC')::date - $1
    LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM meta_retry_queue r USING old
WHERE r.dataset_id = old.dataset_id AND r.event_number = old.event_number
