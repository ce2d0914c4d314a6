-- breaker_transitions: logs the breaker as it is now.
-- $1 dataset id
INSERT INTO breaker_transitions (dataset_id, changed_at, generation, state, reason, manual, note)
SELECT dataset_id, rastro_now(), generation, state, reason, manual, note FROM circuit_breakers WHERE dataset_id = $1
