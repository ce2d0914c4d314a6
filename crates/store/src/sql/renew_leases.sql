-- send_batches::renew_leases: leases last from now again. Rows: the batches that are still the caller's.
-- $1 dataset ids, $2 batch ids, $3 fences, $4 lease in seconds
UPDATE send_batches b SET lease_expires_at = rastro_now() + $4 * interval '1 second'
FROM unnest($1::bigint[], $2::bigint[], $3::integer[]) AS t (dataset_id, batch_id, fence)
WHERE b.dataset_id = t.dataset_id AND b.batch_id = t.batch_id AND b.fence = t.fence
RETURNING b.dataset_id, b.batch_id, b.fence
