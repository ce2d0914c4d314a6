SET LOCAL lock_timeout = '2s';

-- The keys begin with the dataset: pages of all datasets read every count that there is for those of a few hours. A million counts
-- are indexed within a second, and only `monitor check` waits for it.
CREATE INDEX event_counts_by_hour ON event_counts (hour);
CREATE INDEX request_counts_by_hour ON request_counts (hour);
