-- reconciliation::add_findings: keeps what a comparison found. A difference that it found before it was interrupted stays as it was.
-- $1 dataset, then a list per column
INSERT INTO reconciliation_findings AS f (
    dataset_id, run_id, payment_id, finding, remote_minor, local_minor, action, detail, slice_from, found_at
)
SELECT $1, run_id, payment_id, finding, remote_minor, local_minor, action, detail, slice_from, rastro_now()
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::timestamptz[])
    AS t (run_id, payment_id, finding, remote_minor, local_minor, action, detail, slice_from)
ON CONFLICT (dataset_id, run_id, payment_id, finding) DO UPDATE SET
    remote_minor = excluded.remote_minor, local_minor = excluded.local_minor, action = excluded.action, detail = excluded.detail,
    slice_from = excluded.slice_from
WHERE f.remote_minor = f.local_minor AND excluded.remote_minor <> excluded.local_minor
