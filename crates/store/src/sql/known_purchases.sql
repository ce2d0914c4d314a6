-- purchases::record: the orders that stayed as they were. One look-up for each.
-- $1 dataset ids, $2 order ids
SELECT p.dataset_id, p.order_id, p.purchase_id, false AS changed, p.ads_refused
FROM unnest($1::bigint[], $2::text[]) AS t (dataset_id, order_id) CROSS JOIN LATERAL (
    SELECT * FROM purchases WHERE dataset_id = t.dataset_id AND order_id = t.order_id LIMIT 1
) AS p
