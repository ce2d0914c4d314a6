DROP FUNCTION create_day_partitions(integer);
DROP TABLE meta_events_log, send_batches, send_queue, events, meta_events_dedup, api_keys, datasets;
DROP SEQUENCE event_numbers;
DROP FUNCTION rastro_now();
