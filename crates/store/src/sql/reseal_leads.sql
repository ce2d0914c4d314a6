-- leads::reseal: puts contacts that were sealed anew in the place of those that were read. One that changed meanwhile stays,
-- and one that somebody is changing is left for the next pass: who waits for nobody ends in no deadlock.
-- $1 datasets, $2 leads, $3 contacts as they were read, $4 sealed anew: a list per column
WITH unchanged AS MATERIALIZED (
    SELECT l.dataset_id, l.lead_id, anew.sealed
    FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[]) AS anew (dataset_id, lead_id, was, sealed)
    JOIN leads AS l ON l.dataset_id = anew.dataset_id AND l.lead_id = anew.lead_id AND l.contact = anew.was
    FOR UPDATE OF l SKIP LOCKED
)
UPDATE leads AS l SET contact = unchanged.sealed
FROM unchanged WHERE l.dataset_id = unchanged.dataset_id AND l.lead_id = unchanged.lead_id
