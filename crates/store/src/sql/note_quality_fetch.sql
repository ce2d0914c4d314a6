-- dataset_quality_fetches::note: Meta was asked about a dataset.
-- $1 dataset id, $2 state, $3 when it is asked next, unless $4 seconds are given, $5 Meta's code, $6 the error
INSERT INTO dataset_quality_fetches (dataset_id, state, since, asked_at, next_at, failures, error_code, last_error)
VALUES ($1, $2, rastro_now(), rastro_now(), coalesce(rastro_now() + $4 * interval '1 second', $3),
    CASE WHEN $2 = 'failed' THEN 1 ELSE 0 END, $5, $6)
ON CONFLICT (dataset_id) DO UPDATE SET state = excluded.state, asked_at = excluded.asked_at, next_at = excluded.next_at,
    since = CASE WHEN dataset_quality_fetches.state = excluded.state THEN dataset_quality_fetches.since ELSE excluded.since END,
    failures = CASE WHEN excluded.state = 'failed' THEN dataset_quality_fetches.failures + 1 ELSE 0 END,
    error_code = excluded.error_code, last_error = excluded.last_error
