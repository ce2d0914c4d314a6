-- ad_spend::cover: a span of an account was read. One that does not join what was read before leaves a gap, and is not noted.
-- $1 dataset, $2 channel, $3 account, $4 first day, $5 last day
INSERT INTO spend_coverage AS known (dataset_id, channel, account_id, first_day, last_day)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (dataset_id, channel, account_id) DO UPDATE SET
    first_day = least(known.first_day, excluded.first_day), last_day = greatest(known.last_day, excluded.last_day)
WHERE excluded.first_day <= known.last_day + 1 AND excluded.last_day >= known.first_day - 1
