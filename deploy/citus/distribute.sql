-- Makes an ordinary, migrated schema a distributed one: psql "$CITUS_URL" -v cell=cell_a -f deploy/citus/distribute.sql
-- Views of the cell for BI tools stay ordinary ones, on the coordinator.
\set ON_ERROR_STOP on
SELECT citus_schema_distribute(:'cell'::regnamespace);
-- Where it is now, and how large.
SELECT * FROM citus_schemas WHERE schema_name = :'cell'::regnamespace;
