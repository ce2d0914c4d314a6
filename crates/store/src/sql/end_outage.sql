-- meta_retry_queue::revive_after_outage, 4 of 4: nothing is left to revive. Not right after the closing: an
-- outcome from before it may still be on its way into the table.
-- $1 dataset id, $2 spread in ms
UPDATE circuit_breakers SET outage_since = NULL, updated_at = rastro_now()
WHERE dataset_id = $1 AND since < rastro_now() - $2 * interval '1 millisecond'
