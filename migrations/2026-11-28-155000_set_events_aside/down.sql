SET LOCAL lock_timeout = '2s';

-- What was set aside stays a dead letter, of a reason that nothing brings back by itself. That it was set aside is forgotten.
UPDATE meta_retry_queue SET reason = 'refused' WHERE reason = 'set_aside';
DELETE FROM event_outcomes WHERE outcome = 'set_aside';
DELETE FROM event_counts WHERE outcome = 'set_aside';
ALTER TABLE meta_retry_queue DROP CONSTRAINT meta_retry_queue_reason_check,
    ADD CONSTRAINT meta_retry_queue_reason_check
    CHECK (reason IN ('refused', 'exhausted', 'expired', 'missing', 'dataset_deleted'));
ALTER TABLE event_outcomes DROP CONSTRAINT event_outcomes_outcome_check1,
    ADD CONSTRAINT event_outcomes_outcome_check1 CHECK (outcome IN (
        'duplicate', 'refused', 'expired', 'retried', 'missing', 'dataset_deleted', 'withheld', 'erased'
    ));
ALTER TABLE event_counts DROP CONSTRAINT event_counts_outcome_check,
    ADD CONSTRAINT event_counts_outcome_check CHECK (outcome IN (
        'accepted', 'duplicate', 'refused', 'success', 'error', 'cut', 'parked', 'expired', 'retried', 'missing',
        'dataset_deleted', 'withheld', 'erased'
    ));
