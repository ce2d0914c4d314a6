-- attribution_credits::page_of_customers: the next keys of buyers, by their own order: those that are in use hide no others.
-- $1 the dataset and $2 the key before, $3 how many
SELECT dataset_id, key_hmac FROM customers
WHERE (dataset_id, key_hmac) > ($1, $2)
ORDER BY dataset_id, key_hmac LIMIT $3
