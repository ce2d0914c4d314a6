-- Revenue is filed under the days of the dataset's own time zone. Whoever changes it has all days made anew.
SET LOCAL lock_timeout = '5s';

-- By which zone the days of credits and sums are filed. NULL: not known, so that they are filed once more.
ALTER TABLE attribution_state ADD COLUMN filed_by text;
