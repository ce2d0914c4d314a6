-- send_queue: makes events ready to be sent, a row for each run of consecutive numbers.
-- $1 dataset ids, $2 test event codes, $3 first and $4 last event numbers, $5 days, $6 retries behind each,
-- $7 the earliest send_by of each, in seconds since 1970
INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, retries, send_by)
SELECT dataset_id, test_event_code, first_number, last_number, day, retries, to_timestamp(send_by)
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::date[], $6::smallint[], $7::bigint[])
    AS t (dataset_id, test_event_code, first_number, last_number, day, retries, send_by)
