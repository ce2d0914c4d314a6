-- leads::samples: of each dataset the oldest and the newest lead whose contact is kept.
SELECT l.dataset_id, l.lead_id, l.event_id, l.contact
FROM datasets AS d CROSS JOIN LATERAL (
    (SELECT * FROM leads WHERE dataset_id = d.dataset_id AND contact <> '' ORDER BY lead_id LIMIT 1)
    UNION ALL
    (SELECT * FROM leads WHERE dataset_id = d.dataset_id AND contact <> '' ORDER BY lead_id DESC LIMIT 1)
) AS l
