-- erasures: empties a person's events of a day, click ids included.
-- $1 dataset, $2 day, $3 numbers, $4 patterns of what else of the person stands in payloads, $5 ids of what leads became
UPDATE events SET payload = '', fbclid = NULL, gclid = NULL, gbraid = NULL, wbraid = NULL, msclkid = NULL, ttclid = NULL
WHERE dataset_id = $1 AND day = $2 AND payload <> ''
    AND (event_number = ANY($3) OR payload LIKE ANY($4) OR event_id = ANY($5))
RETURNING event_number, event_name, event_id
