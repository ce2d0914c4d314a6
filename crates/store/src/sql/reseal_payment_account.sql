-- payment_accounts::reseal: puts secrets that were sealed anew in the place of those that were read. What somebody entered meanwhile
-- stays, and so does all else of the account.
-- $1 dataset, $2 account, $3 the token and $4 the webhooks' secrets, sealed anew; $5 and $6 as they were read
UPDATE payment_accounts SET access_token_sealed = $3, webhook_secrets_sealed = $4
WHERE dataset_id = $1 AND account_id = $2 AND access_token_sealed = $5 AND webhook_secrets_sealed = $6
