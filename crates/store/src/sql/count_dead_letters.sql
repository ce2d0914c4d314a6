-- meta_retry_queue::retry_failed, 1 of 2: dead letters that match, and those of them that are too old for
-- Meta. NULL means any: $1 dataset id, $2 event numbers, $3 event ids, $4 code, $5 failed from, $6 failed
-- before, $7 reason
SELECT count(*) FILTER (WHERE send_by > rastro_now()) AS matched, count(*) FILTER (WHERE send_by <= rastro_now()) AS too_old
FROM meta_retry_queue
WHERE status = 'failed'
    AND ($1::bigint IS NULL OR dataset_id = $1)
    AND ($2::bigint[] IS NULL OR event_number = ANY ($2))
    AND ($3::text[] IS NULL OR event_id = ANY ($3))
    AND ($4::integer IS NULL OR error_code = $4)
    AND ($5::timestamptz IS NULL OR failed_at >= $5)
    AND ($6::timestamptz IS NULL OR failed_at < $6)
    AND ($7::text IS NULL OR reason = $7)
