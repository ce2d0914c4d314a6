-- send_batches::renew: the lease lasts from now again. 0: it was lost to another owner
WITH renewed AS (
    UPDATE send_batches SET lease_expires_at = rastro_now() + $4 * interval '1 second'
    WHERE dataset_id = $1 AND batch_id = $2 AND fence = $3
    RETURNING 1
)
SELECT count(*) FROM renewed
