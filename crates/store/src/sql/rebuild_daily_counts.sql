-- event_counts_daily::rebuild: every day anew, after the reporting zone has changed.
INSERT INTO event_counts_daily (dataset_id, day, event_name, outcome, events)
SELECT c.dataset_id, (c.hour AT TIME ZONE s.time_zone)::date, c.event_name, c.outcome, sum(c.events)::bigint
FROM event_counts c CROSS JOIN monitor_settings s
GROUP BY 1, 2, 3, 4
