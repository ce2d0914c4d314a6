-- payment_notifications::delay: follows one again later, if it is still whose it was.
-- $1 dataset, $2 notification, $3 fence, $4 seconds, $5 why
UPDATE payment_notifications SET due_at = rastro_now() + $4 * interval '1 second', outcome = $5
WHERE dataset_id = $1 AND notification_id = $2 AND fence = $3 AND state = 'pending'
