-- The share of events that reach Meta, as the dashboard's first page counts it, for other tools: until now no view told how many of
-- those that wait have waited for over an hour.
SET LOCAL lock_timeout = '5s';

DO $bi$
BEGIN
    EXECUTE replace($views$
CREATE VIEW bi.reaching_meta AS
WITH bounds AS MATERIALIZED (
    SELECT date_trunc('hour', rastro_now() - interval '7 days') AS since, date_trunc('hour', rastro_now() - interval '1 hour') AS until,
        coalesce((
            SELECT min(event_number) FROM events
            WHERE day >= ((rastro_now() - interval '1 hour') AT TIME ZONE 'UTC')::date
                AND received_at >= rastro_now() - interval '1 hour'
        ), 9223372036854775807) AS young
)
SELECT d.dataset_id::text AS dataset,
    (
        SELECT coalesce(sum(c.events), 0)::bigint FROM event_counts c
        WHERE c.dataset_id = d.dataset_id AND c.outcome = 'accepted' AND c.hour >= b.since AND c.hour < b.until
    ) AS accepted,
    (
        SELECT count(*) FROM meta_retry_queue r
        WHERE r.dataset_id = d.dataset_id AND r.status = 'failed' AND r.day >= (b.since AT TIME ZONE 'UTC')::date
            AND r.event_number < b.young
    ) AS dead,
    (
        SELECT count(*) FROM meta_retry_queue r
        WHERE r.dataset_id = d.dataset_id AND r.status = 'waiting' AND r.event_number < b.young
    ) + (
        SELECT count(*) FROM ready_events q WHERE q.dataset_id = d.dataset_id AND q.event_number < b.young
    ) AS late,
    d.name AS dataset_name
FROM datasets d CROSS JOIN bounds b;
COMMENT ON VIEW bi.reaching_meta IS 'Accepted in the last 7 days without the last hour; of those, dead: stopped, and late: still waiting. What reaches Meta is accepted - dead - late.';
$views$, ' bi.', format(' %I.', CASE current_schema() WHEN 'public' THEN 'bi' ELSE current_schema() || '_bi' END));
END $bi$;
