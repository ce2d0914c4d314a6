-- dashboard::session: the session of a hash if it is not over and its key is not revoked; it lives on, but written at most once a
-- minute. $1 hash, $2 idle seconds
WITH found AS MATERIALIZED (
    SELECT s.session_hash, s.role, s.dataset_id, s.name, k.label, s.created_at, s.last_seen_at, s.expires_at
    FROM dashboard_sessions s JOIN api_keys k ON k.key_hash = s.key_hash
    WHERE s.session_hash = $1 AND s.expires_at > rastro_now() AND k.revoked_at IS NULL
        AND k.kind = CASE s.role WHEN 'operator' THEN 'admin' ELSE 'viewer' END
        AND (s.role = 'operator' OR k.dataset_id IS NOT DISTINCT FROM s.dataset_id)
),
touched AS (
    UPDATE dashboard_sessions s
    SET last_seen_at = rastro_now(),
        expires_at = least(rastro_now() + $2 * interval '1 second', s.created_at + interval '7 days')
    FROM found WHERE s.session_hash = found.session_hash AND found.last_seen_at < rastro_now() - interval '1 minute'
)
SELECT role, dataset_id, name, label, expires_at FROM found
