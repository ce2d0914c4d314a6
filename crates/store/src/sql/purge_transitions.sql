-- circuit_breakers::purge_transitions: deletes changes of breakers that are older than what is kept of
-- events.
-- $1 for how many days, $2 how many at most
WITH old AS MATERIALIZED (
    SELECT dataset_id, transition_id FROM breaker_transitions
    WHERE changed_at < rastro_now() - $1 * interval '1 day'
    LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM breaker_transitions t USING old
WHERE t.dataset_id = old.dataset_id AND t.transition_id = old.transition_id
