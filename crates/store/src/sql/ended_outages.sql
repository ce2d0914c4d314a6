-- meta_retry_queue::revive_after_outage, 1 of 3: datasets whose outage is over and whose events were not all
-- revived yet
SELECT dataset_id FROM circuit_breakers
WHERE outage_since IS NOT NULL AND state = 'closed'
FOR UPDATE SKIP LOCKED
