-- counted_hours::progress: of the days that are stored, how many are counted as far as they have gone.
WITH first_day AS (
    SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD')) AS day
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = ANY (day_tables()::regclass[]) AND c.relname ~ '_[0-9]{8}$'
), days AS (
    SELECT d::date AS day
    FROM first_day, generate_series(first_day.day, (rastro_now() AT TIME ZONE 'UTC')::date, interval '1 day') AS d
)
SELECT count(*)::integer AS days, count(*) FILTER (
    WHERE NOT EXISTS (
        SELECT FROM generate_series(
            days.day::timestamp AT TIME ZONE 'UTC',
            least((days.day::timestamp + interval '23 hours') AT TIME ZONE 'UTC', date_trunc('hour', rastro_now(), 'UTC')),
            interval '1 hour'
        ) AS h (hour)
        WHERE NOT EXISTS (SELECT FROM counted_hours c WHERE c.hour = h.hour)
    )
)::integer AS counted
FROM days
