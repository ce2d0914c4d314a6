-- send_queue: makes events ready to be sent.
-- $1 dataset ids, $2 test event codes, $3 event numbers, $4 days, $5 retries behind each, $6 send_by in seconds since 1970
INSERT INTO send_queue (dataset_id, test_event_code, event_number, day, retries, send_by)
SELECT dataset_id, test_event_code, event_number, day, retries, to_timestamp(send_by)
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::date[], $5::smallint[], $6::bigint[])
    AS t (dataset_id, test_event_code, event_number, day, retries, send_by)
