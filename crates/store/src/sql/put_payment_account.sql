-- payment_accounts::put: creates an account or changes it; one that pays into another dataset is refused by its own number.
-- $1 dataset, $2 account, $3 label, $4 sealed token, $5 sealed secrets, $6 unsigned, $7 oldest signature in seconds, $8 live mode,
-- $9 currency, $10 conversion value, $11 its margin
INSERT INTO payment_accounts (
    dataset_id, account_id, label, access_token_sealed, webhook_secrets_sealed, unsigned, signature_max_age_seconds, live_mode,
    currency, conversion_value, margin_millionths
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (dataset_id, account_id) DO UPDATE SET
    label = excluded.label, access_token_sealed = excluded.access_token_sealed,
    webhook_secrets_sealed = excluded.webhook_secrets_sealed, unsigned = excluded.unsigned,
    signature_max_age_seconds = excluded.signature_max_age_seconds, live_mode = excluded.live_mode,
    currency = excluded.currency, conversion_value = excluded.conversion_value, margin_millionths = excluded.margin_millionths,
    blocked_reason = NULL, retry_at = NULL, updated_at = excluded.updated_at
