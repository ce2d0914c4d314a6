-- payment_notifications::keep: stores what was told, or counts that it was told again. What was parked is due again.
-- $1 dataset, $2 account, $3 delivery key, $4 source, $5 topic, $6 resource, $7 action, $8 Mercado Pago's request id,
-- $9 traceparent
INSERT INTO payment_notifications AS n (
    dataset_id, account_id, delivery_key, source, topic, resource_id, action, remote_request_id, traceparent, due_at,
    received_at, last_received_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, rastro_now(), rastro_now(), rastro_now())
ON CONFLICT (dataset_id, account_id, delivery_key) DO UPDATE SET
    deliveries = n.deliveries + 1,
    last_received_at = excluded.last_received_at,
    state = CASE n.state WHEN 'parked' THEN 'pending' ELSE n.state END,
    attempts = CASE n.state WHEN 'parked' THEN 0 ELSE n.attempts END,
    due_at = CASE n.state WHEN 'parked' THEN excluded.due_at ELSE n.due_at END,
    finished_at = CASE n.state WHEN 'parked' THEN NULL ELSE n.finished_at END
RETURNING deliveries = 1 AS is_new
