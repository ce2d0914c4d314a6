-- request_counts::forget: deletes the counts of an hour that are no longer there.
-- $1 the hour; a list per column of those that are: $2 dataset ids, $3 buckets
DELETE FROM request_counts c USING datasets d
WHERE c.dataset_id = d.dataset_id AND c.hour = $1 AND NOT EXISTS (
    SELECT FROM unnest($2::bigint[], $3::smallint[]) AS t (dataset_id, bucket)
    WHERE (t.dataset_id, t.bucket) = (c.dataset_id, c.bucket)
)
