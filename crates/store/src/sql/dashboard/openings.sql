-- dashboard::openings: from the first transition that stopped a dataset to the one that let it flow again.
-- $1 dataset id or NULL, $2 since
WITH changes AS (
    SELECT dataset_id, transition_id, changed_at, reason, manual, note,
        CASE WHEN manual = 'forced_closed' THEN true WHEN manual = 'forced_open' THEN false ELSE state = 'closed' END AS flows
    FROM breaker_transitions WHERE $1::bigint IS NULL OR dataset_id = $1
),
turns AS (
    SELECT *, lag(flows, 1, true) OVER (PARTITION BY dataset_id ORDER BY transition_id) AS flowed FROM changes
)
SELECT o.*, (
        -- What waited for it stops when it is tried again: shortly after the end, as well as meanwhile.
        SELECT count(*) FROM meta_retry_queue r
        WHERE r.dataset_id = o.dataset_id AND r.status = 'failed' AND r.reason IN ('exhausted', 'expired')
            AND r.failed_at >= o.opened_at AND r.failed_at < coalesce(o.closed_at + interval '10 minutes', 'infinity')
    ) AS stopped
FROM (
    SELECT t.dataset_id, t.changed_at AS opened_at, t.reason, t.manual, t.note,
        (
            SELECT min(n.changed_at) FROM turns n
            WHERE n.dataset_id = t.dataset_id AND n.transition_id > t.transition_id AND n.flows
        ) AS closed_at
    FROM turns t WHERE NOT t.flows AND t.flowed AND t.changed_at >= $2
    ORDER BY t.changed_at DESC LIMIT 100
) AS o
ORDER BY o.opened_at DESC
