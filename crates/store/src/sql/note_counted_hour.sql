-- counted_hours::note: an hour was counted. Closed: ten minutes after its end nothing of it can appear any more (a row carries
-- the time at which its transaction began, and appears when it commits; no statement of ours runs longer than 30 s).
-- $1 the hour, $2 how long it took in ms, $3 when counting it began
INSERT INTO counted_hours (hour, closed, counted_at, took_ms)
VALUES ($1, $3 >= $1 + interval '70 minutes', $3, $2)
ON CONFLICT (hour) DO UPDATE SET closed = excluded.closed, counted_at = excluded.counted_at, took_ms = excluded.took_ms
