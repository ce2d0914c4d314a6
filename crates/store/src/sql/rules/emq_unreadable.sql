-- alert rule emq_unreadable: seconds for which the access token may send but not read.
SELECT f.dataset_id, '' AS group_key, extract(epoch FROM rastro_now() - f.since)::double precision AS value, 'info' AS severity,
    jsonb_build_object('dataset_name', d.name, 'code', f.error_code) AS facts
FROM dataset_quality_fetches f JOIN datasets d USING (dataset_id)
WHERE f.state = 'unreadable'
