-- maintenance::forget_attempts
WITH gone AS (
    DELETE FROM send_attempts WHERE attempted_at < rastro_now() - $1 * interval '1 millisecond' RETURNING 1
)
SELECT count(*) FROM gone
