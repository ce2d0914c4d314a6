-- reconciliation::add_findings: keeps what a comparison found. What it found before it was interrupted stays as it was.
-- $1 dataset, then a list per column
INSERT INTO reconciliation_findings (
    dataset_id, run_id, payment_id, finding, remote_minor, local_minor, action, detail, found_at
)
SELECT $1, run_id, payment_id, finding, remote_minor, local_minor, action, detail, rastro_now()
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[])
    AS t (run_id, payment_id, finding, remote_minor, local_minor, action, detail)
ON CONFLICT (dataset_id, run_id, payment_id, finding) DO NOTHING
