-- send_queue: where a stretch of so many rows ends. No row: the queue ends before that.
-- $1 dataset id, $2 test event code and $3 first event number behind which it begins, $4 how many rows it has
SELECT dataset_id, test_event_code, first_number FROM send_queue
WHERE (dataset_id, test_event_code, first_number) > ($1, $2, $3)
ORDER BY dataset_id, test_event_code, first_number
OFFSET $4 - 1 LIMIT 1
