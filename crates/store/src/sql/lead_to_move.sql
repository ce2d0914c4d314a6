-- leads::move_lead: where a lead is, and nobody else moves it until this ends.
-- $1 dataset, $2 lead
SELECT status, events_of FROM leads WHERE dataset_id = $1 AND lead_id = $2 FOR UPDATE
