-- dashboard::quality_keys: keys of the newest day of each event name. $1 dataset id or NULL
SELECT k.dataset_id, k.event_name, k.identifier, k.coverage_percent::double precision AS coverage_percent,
    k.gain_percent::double precision AS gain_percent
FROM (
    SELECT dataset_id, event_name, max(day) AS day FROM dataset_quality_keys
    WHERE $1::bigint IS NULL OR dataset_id = $1 GROUP BY dataset_id, event_name
) AS newest
JOIN dataset_quality_keys k ON k.dataset_id = newest.dataset_id AND k.event_name = newest.event_name AND k.day = newest.day
ORDER BY k.dataset_id, k.event_name, k.coverage_percent
