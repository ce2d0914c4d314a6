-- meta_retry_queue::revive_after_outage, 1 of 4: datasets whose outage is over and whose events were not all
-- revived yet
SELECT dataset_id FROM circuit_breakers WHERE outage_since IS NOT NULL AND state = 'closed' ORDER BY dataset_id
