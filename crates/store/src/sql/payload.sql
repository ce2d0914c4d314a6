-- events::payload: the segment that holds an accepted event
SELECT segment_number, body FROM event_segments
WHERE segment_number = $1 / 1000 * 1000 AND event_numbers @> $1
