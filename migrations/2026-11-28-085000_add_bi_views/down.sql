-- The role stays: other databases of the cluster may use it.
DO $$
BEGIN
    EXECUTE format('DROP SCHEMA %I CASCADE', CASE current_schema() WHEN 'public' THEN 'bi' ELSE current_schema() || '_bi' END);
END $$;
DROP FUNCTION latency_percentile(smallint[], bigint[], double precision);
