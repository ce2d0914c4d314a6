-- maintenance::drop_old_partitions: daily partitions of days that are not kept, each by its full name.
-- $1 how many days are kept
SELECT format('%I.%I', n.nspname, c.relname) AS name
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = ANY (day_tables()::regclass[])
    -- CASE, because a plan may look at the names of other tables first, which are no dates.
    AND CASE WHEN c.relname ~ '_[0-9]{8}$'
        THEN to_date(right(c.relname, 8), 'YYYYMMDD') < (rastro_now() AT TIME ZONE 'UTC')::date - $1 ELSE false END
ORDER BY c.relname
