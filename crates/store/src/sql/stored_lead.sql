-- leads::lead: one lead.
-- $1 dataset, $2 lead
SELECT status, contact, event_id, fbp, fbc, ads_refused FROM leads WHERE dataset_id = $1 AND lead_id = $2
