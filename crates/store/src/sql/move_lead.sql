-- leads::move_lead: brings a lead to a status.
-- $1 dataset, $2 lead, $3 status, $4 whether it becomes an event there
UPDATE leads SET status = $3, events_of = CASE WHEN $4 THEN events_of || $3 ELSE events_of END, updated_at = rastro_now()
WHERE dataset_id = $1 AND lead_id = $2
