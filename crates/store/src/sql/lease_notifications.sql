-- payment_notifications::lease: takes due ones of accounts that may be asked. Those of a retired dataset wait: nothing of it is
-- sent, and it may come back. What was signed goes first: anybody may send the others.
-- $1 at most so many, $2 for how many seconds
WITH due AS (
    SELECT n.dataset_id, n.notification_id FROM payment_notifications AS n
    JOIN payment_accounts AS a ON a.dataset_id = n.dataset_id AND a.account_id = n.account_id
        AND (a.retry_at IS NULL OR a.retry_at <= rastro_now())
    JOIN datasets AS d ON d.dataset_id = n.dataset_id AND d.retired_at IS NULL
    WHERE n.state = 'pending' AND n.due_at <= rastro_now()
    ORDER BY n.source = 'hint', n.due_at LIMIT $1
    FOR UPDATE OF n SKIP LOCKED
)
UPDATE payment_notifications AS n
SET attempts = least(n.attempts + 1, 32767), due_at = rastro_now() + $2 * interval '1 second', fence = n.fence + 1
FROM due WHERE n.dataset_id = due.dataset_id AND n.notification_id = due.notification_id
RETURNING n.dataset_id, n.notification_id, n.account_id, n.source, n.topic, n.resource_id, n.attempts, n.fence,
    n.traceparent, rastro_now() AS leased_at
