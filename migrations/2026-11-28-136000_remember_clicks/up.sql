SET LOCAL lock_timeout = '5s';

-- Whether an event that comes without a click id gets the one that is remembered of its person, from a lead or a contact with an ad.
ALTER TABLE datasets ADD COLUMN remember_clicks boolean NOT NULL DEFAULT true;
