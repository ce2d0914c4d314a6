-- meta_retry_queue::revive_after_outage, 2 of 4: locks one of them. No row: it is over by now, or somebody else is at it
-- $1 dataset id
SELECT dataset_id FROM circuit_breakers
WHERE dataset_id = $1 AND outage_since IS NOT NULL AND state = 'closed' FOR UPDATE SKIP LOCKED
