-- leads::move_lead: where a lead is, and nobody else moves or erases it until this ends.
-- $1 dataset, $2 lead
SELECT status, events_of, contact = '' AS is_erased, ads_refused FROM leads WHERE dataset_id = $1 AND lead_id = $2 FOR UPDATE
