-- circuit_breakers::change: compare-and-set. No row: somebody else changed it first, or there is no such
-- dataset. The first opening for errors, blocked or refused is noted; the closing leaves the note, for
-- revive_after_outage. Times in ms since 1970.
-- $1 dataset id, $2 generation that is expected, $3 state, $4 generation, $5 reason, $6 since, $7 open until,
-- $8 openings, $9 probe until, $10 and $11 probes that succeeded and failed, $12 override, $13 its end, $14
-- note (NULL: the old one stays)
INSERT INTO circuit_breakers AS c (
    dataset_id, state, generation, reason, since, open_until, open_count, probe_until, probe_successes, probe_failures,
    manual, manual_until, note, updated_at, outage_since
)
SELECT $1, $3, $4, $5, to_timestamp($6 / 1000.0), to_timestamp($7 / 1000.0), $8, to_timestamp($9 / 1000.0), $10, $11,
    $12, to_timestamp($13 / 1000.0), coalesce($14, ''), rastro_now(),
    CASE WHEN $5 IN ('errors', 'blocked', 'refused') THEN rastro_now() END
WHERE EXISTS (SELECT FROM datasets WHERE dataset_id = $1)
ON CONFLICT (dataset_id) DO UPDATE SET
    state = excluded.state, generation = excluded.generation, reason = excluded.reason, since = excluded.since,
    open_until = excluded.open_until, open_count = excluded.open_count, probe_until = excluded.probe_until,
    probe_successes = excluded.probe_successes, probe_failures = excluded.probe_failures, manual = excluded.manual,
    manual_until = excluded.manual_until, note = coalesce($14, c.note), updated_at = excluded.updated_at,
    outage_since = coalesce(c.outage_since, excluded.outage_since)
WHERE c.generation = $2
