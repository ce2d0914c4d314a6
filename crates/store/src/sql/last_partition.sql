-- maintenance::partition_days_ahead: the last day up to which every table of days has its partition
WITH days AS (
    SELECT i.inhparent, to_date(right(c.relname, 8), 'YYYYMMDD') AS day
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = ANY (day_tables()::regclass[])
), today AS (
    SELECT (rastro_now() AT TIME ZONE 'UTC')::date AS day
), complete AS (
    SELECT day FROM days GROUP BY day HAVING count(*) = cardinality(day_tables())
)
SELECT today.day AS today, (
    -- The first hole, less one day.
    SELECT min(candidate)::date - 1 FROM generate_series(today.day, today.day + 400, interval '1 day') AS candidate
    WHERE candidate::date NOT IN (SELECT day FROM complete)
) AS last_day FROM today
