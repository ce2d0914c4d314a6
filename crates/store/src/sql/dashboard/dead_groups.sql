-- dashboard::dead_groups: dead letters by cause, the largest first. NULL means any:
-- $1 dataset id, $2 reason, $3 code or subcode, $4 failed from, $5 failed before, $6 event id
WITH wanted AS MATERIALIZED (
    SELECT r.dataset_id, r.event_number, r.reason, r.error_code, r.error_subcode, r.failed_at, r.send_by, r.last_error,
        r.event_name, e.value, e.currency,
        -- Only an answer of 4xx is a verdict: behind any other the event may have been counted, whatever code came with it.
        r.reason = 'exhausted' AND r.last_error NOT LIKE 'HTTP 4%' AS unanswered,
        -- The first moment at which Meta can have had it.
        coalesce(e.received_at, r.failed_at) AS known_since
    FROM meta_retry_queue r
    LEFT JOIN events e ON e.dataset_id = r.dataset_id AND e.event_number = r.event_number AND e.day = r.day
    WHERE r.status = 'failed'
        AND ($1::bigint IS NULL OR r.dataset_id = $1)
        AND ($2::text IS NULL OR r.reason = $2)
        AND ($3::integer IS NULL OR r.error_code = $3 OR r.error_subcode = $3)
        AND ($4::timestamptz IS NULL OR r.failed_at >= $4)
        AND ($5::timestamptz IS NULL OR r.failed_at < $5)
        AND ($6::text IS NULL OR r.event_id = $6)
),
money AS (
    SELECT dataset_id, reason, error_code, error_subcode, array_agg(currency ORDER BY amount DESC) AS currencies,
        array_agg(amount ORDER BY amount DESC) AS amounts
    FROM (
        SELECT dataset_id, reason, error_code, error_subcode, currency, sum(value)::double precision AS amount FROM wanted
        WHERE event_name = 'Purchase' AND value IS NOT NULL AND currency IS NOT NULL
        GROUP BY dataset_id, reason, error_code, error_subcode, currency
    ) AS sums
    GROUP BY dataset_id, reason, error_code, error_subcode
)
SELECT g.*, coalesce(m.currencies, '{}') AS currencies, coalesce(m.amounts, '{}') AS amounts
FROM (
    SELECT dataset_id, reason, error_code, error_subcode, count(*) AS events,
        count(*) FILTER (WHERE event_name = 'Purchase') AS purchases, count(*) FILTER (WHERE event_name = 'Lead') AS leads,
        count(*) FILTER (WHERE send_by > rastro_now()) AS retryable,
        count(*) FILTER (WHERE unanswered) AS unanswered,
        count(*) FILTER (
            WHERE unanswered AND send_by > rastro_now() AND known_since < rastro_now() - interval '48 hours'
        ) AS late,
        min(failed_at) AS first_failed_at, max(failed_at) AS last_failed_at,
        min(send_by) FILTER (WHERE send_by > rastro_now()) AS first_deadline,
        (array_agg(last_error ORDER BY failed_at DESC))[1] AS newest_error
    FROM wanted GROUP BY dataset_id, reason, error_code, error_subcode
) AS g
LEFT JOIN money m ON m.dataset_id = g.dataset_id AND m.reason = g.reason
    AND m.error_code IS NOT DISTINCT FROM g.error_code AND m.error_subcode IS NOT DISTINCT FROM g.error_subcode
ORDER BY (g.retryable > 0) DESC, g.events DESC, g.dataset_id, g.reason, g.error_code, g.error_subcode
