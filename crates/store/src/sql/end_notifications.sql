-- payment_notifications::end: all about one resource that came before it was read.
-- $1 dataset, $2 account, $3 topic, $4 resource, $5 read after, $6 state, $7 outcome, $8 whether those that were signed, too
UPDATE payment_notifications SET state = $6, outcome = $7, finished_at = rastro_now()
WHERE dataset_id = $1 AND resource_id = $4 AND account_id = $2 AND topic = $3 AND state = 'pending' AND received_at <= $5
    AND ($8 OR source = 'hint')
