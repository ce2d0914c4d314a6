-- Makes a distributed schema an ordinary one again, on the coordinator, as a migration needs it. Stop the cell's services first:
-- psql "$CITUS_URL" -v cell=cell_a -f deploy/citus/undistribute.sql
\set ON_ERROR_STOP on
SELECT citus_schema_undistribute(:'cell'::regnamespace);
