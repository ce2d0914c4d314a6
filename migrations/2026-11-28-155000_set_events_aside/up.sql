SET LOCAL lock_timeout = '2s';

-- set_aside: an operator kept it from Meta, as it had most likely been delivered before the database was restored. In
-- meta_retry_queue a dead letter's reason, in event_outcomes what happened, in event_counts how often.
-- NOT VALID: each list only grows, so that what is stored holds the new one, and no day is read.
ALTER TABLE meta_retry_queue DROP CONSTRAINT meta_retry_queue_reason_check,
    ADD CONSTRAINT meta_retry_queue_reason_check
    CHECK (reason IN ('refused', 'exhausted', 'expired', 'missing', 'dataset_deleted', 'set_aside')) NOT VALID;
ALTER TABLE event_outcomes DROP CONSTRAINT event_outcomes_outcome_check1,
    ADD CONSTRAINT event_outcomes_outcome_check1 CHECK (outcome IN (
        'duplicate', 'refused', 'expired', 'retried', 'missing', 'dataset_deleted', 'withheld', 'erased', 'set_aside'
    )) NOT VALID;
ALTER TABLE event_counts DROP CONSTRAINT event_counts_outcome_check,
    ADD CONSTRAINT event_counts_outcome_check CHECK (outcome IN (
        'accepted', 'duplicate', 'refused', 'success', 'error', 'cut', 'parked', 'expired', 'retried', 'missing',
        'dataset_deleted', 'withheld', 'erased', 'set_aside'
    )) NOT VALID;
