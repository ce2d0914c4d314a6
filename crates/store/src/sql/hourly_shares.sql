-- event_counts::hourly_shares: of the events with one of some outcomes, how many had the bad one, by dataset and hour.
-- $1 days back, $2 the bad outcome, $3 all of them
SELECT d.dataset_id, d.name, c.hour, coalesce(sum(c.events) FILTER (WHERE c.outcome = $2), 0)::bigint AS bad,
    sum(c.events)::bigint AS total
FROM datasets d JOIN event_counts c USING (dataset_id)
WHERE c.hour > rastro_now() - $1 * interval '1 day' AND c.outcome = ANY($3)
GROUP BY d.dataset_id, d.name, c.hour
ORDER BY d.dataset_id, c.hour
