-- dashboard::rule_hours: thirty days by hour and dataset, as the rules on rates see them. $1 dataset id or NULL
SELECT coalesce(e.dataset_id, q.dataset_id) AS dataset_id, coalesce(e.hour, q.hour) AS hour,
    coalesce(e.accepted, 0) AS accepted, coalesce(e.duplicates, 0) AS duplicates, coalesce(e.succeeded, 0) AS succeeded,
    coalesce(e.failed, 0) AS failed, coalesce(q.requests, 0) AS requests, coalesce(q.slow, 0) AS slow
FROM (
    SELECT dataset_id, hour,
        coalesce(sum(events) FILTER (WHERE outcome = 'accepted'), 0)::bigint AS accepted,
        coalesce(sum(events) FILTER (WHERE outcome = 'duplicate'), 0)::bigint AS duplicates,
        coalesce(sum(events) FILTER (WHERE outcome = 'success'), 0)::bigint AS succeeded,
        coalesce(sum(events) FILTER (WHERE outcome = 'error'), 0)::bigint AS failed
    FROM event_counts
    WHERE hour >= rastro_now() - interval '30 days' AND ($1::bigint IS NULL OR dataset_id = $1)
    GROUP BY dataset_id, hour
) AS e
FULL JOIN (
    -- Bucket 14 begins at 2,000 ms; 99 was never answered.
    SELECT dataset_id, hour, sum(requests)::bigint AS requests,
        coalesce(sum(requests) FILTER (WHERE bucket >= 14), 0)::bigint AS slow
    FROM request_counts
    WHERE hour >= rastro_now() - interval '30 days' AND ($1::bigint IS NULL OR dataset_id = $1)
    GROUP BY dataset_id, hour
) AS q ON q.dataset_id = e.dataset_id AND q.hour = e.hour
ORDER BY 1, 2
