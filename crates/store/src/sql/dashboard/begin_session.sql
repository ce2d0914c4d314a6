-- dashboard::begin_session. $1 hash, $2 role, $3 dataset id or NULL, $4 name, $5 hash of the key, $6 idle seconds
INSERT INTO dashboard_sessions (session_hash, role, dataset_id, name, key_hash, created_at, last_seen_at, expires_at)
VALUES ($1, $2, $3, $4, $5, rastro_now(), rastro_now(), rastro_now() + $6 * interval '1 second')
