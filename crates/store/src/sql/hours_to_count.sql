-- counted_hours::to_count: the hours that are not closed, newest first, from the first day that is still stored. One that takes
-- long is left for ten minutes while it is open.
-- $1 what is long, in ms
WITH first_day AS (
    SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD')) AS day
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = ANY (day_tables()::regclass[]) AND c.relname ~ '_[0-9]{8}$'
)
SELECT h.hour
FROM first_day, generate_series(
    first_day.day::timestamp AT TIME ZONE 'UTC', date_trunc('hour', rastro_now(), 'UTC'), interval '1 hour'
) AS h (hour)
WHERE NOT EXISTS (
    SELECT FROM counted_hours c
    WHERE c.hour = h.hour AND (c.closed OR (c.took_ms > $1 AND c.counted_at > rastro_now() - interval '10 minutes'))
)
ORDER BY h.hour DESC
