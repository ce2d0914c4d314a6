-- payment_notifications::forget: deletes those that ended so long ago, the oldest first. One that is told again after that is read
-- again, which changes nothing.
-- $1 days, $2 how many at most
WITH old AS MATERIALIZED (
    SELECT dataset_id, notification_id FROM payment_notifications
    WHERE finished_at < rastro_now() - make_interval(days => $1)
    ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM payment_notifications n USING old WHERE n.dataset_id = old.dataset_id AND n.notification_id = old.notification_id
