-- payment_accounts::block: leaves an account alone, or no longer, and says what was before.
-- $1 account, $2 why (NULL: no longer), $3 for how many seconds
UPDATE payment_accounts AS a
SET blocked_reason = $2, retry_at = CASE WHEN $2 IS NULL THEN NULL ELSE rastro_now() + $3 * interval '1 second' END
FROM (SELECT dataset_id, account_id, blocked_reason FROM payment_accounts WHERE account_id = $1 FOR UPDATE) AS old
WHERE a.dataset_id = old.dataset_id AND a.account_id = old.account_id
    AND ($2 IS NOT NULL OR old.blocked_reason IS NOT NULL)
RETURNING old.blocked_reason IS NOT NULL AS was_blocked
