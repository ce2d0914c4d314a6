SET LOCAL lock_timeout = '2s';

-- Whether the last attempt was a request of this event alone, on which Meta failed. Such an event may itself be the cause: it
-- keeps the retries that it spent, and is the last that a breaker is probed with.
ALTER TABLE meta_retry_queue ADD COLUMN failed_alone boolean NOT NULL DEFAULT false;
