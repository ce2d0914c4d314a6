SET LOCAL lock_timeout = '2s';

-- What a claim holds of the buyer's browser is forgotten with the events of its day; the index finds it.
CREATE INDEX purchases_claimed ON purchases (created_at) WHERE claimed_event IS NOT NULL;
