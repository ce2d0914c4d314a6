-- Moves a distributed schema to another node, while its services run:
-- psql "$CITUS_URL" -v cell=cell_a -v host=worker-2 -v port=5432 -f deploy/citus/move.sql
\set ON_ERROR_STOP on
SELECT citus_schema_move(:'cell'::regnamespace, :'host', :'port'::integer);
SELECT * FROM citus_schemas WHERE schema_name = :'cell'::regnamespace;
