-- What was read of a person before an erasure is not written after it.
SET LOCAL lock_timeout = '5s';

-- Counts the erasures of the dataset's people. Whoever writes what was read of a person sees by it whether one began in between.
ALTER TABLE datasets ADD COLUMN erasure_epoch bigint NOT NULL DEFAULT 0 CHECK (erasure_epoch >= 0);

-- From the erasure's first moment on nobody is found by this lead. What is personal of it goes last: by that the erasure finds the
-- person's events.
ALTER TABLE leads ADD COLUMN erased boolean NOT NULL DEFAULT false;
UPDATE leads SET erased = true WHERE contact = '';
