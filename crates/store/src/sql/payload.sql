-- events::payload: the segment that holds an accepted event, one look-up for each day that is kept
SELECT s.segment_number, s.body
FROM (
    SELECT to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') AS day
    FROM pg_inherits WHERE inhparent = 'event_segments'::regclass
) AS kept CROSS JOIN LATERAL (
    SELECT segment_number, body FROM event_segments
    WHERE dataset_id = $1 AND day = kept.day AND segment_number = $2 / 1000 * 1000 AND event_numbers @> $2
    OFFSET 0
) AS s
