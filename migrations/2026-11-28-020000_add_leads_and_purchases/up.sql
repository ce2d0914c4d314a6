-- What a form and an order say, kept for the business itself: who wrote, what was paid, and which ads led there.
-- Contact data is sealed as access tokens are. What people are found again by is an HMAC under a key that is not in the
-- database: without it a list of all phone numbers of a country would be hashed in seconds.
SET LOCAL lock_timeout = '5s';

-- recorded: an order that is recorded as approved becomes an event at once. verified: only a confirmed payment does, and what is
-- recorded before it is a claim.
ALTER TABLE datasets ADD COLUMN purchase_source text NOT NULL DEFAULT 'recorded'
    CHECK (purchase_source IN ('recorded', 'verified'));

CREATE TABLE leads (
    dataset_id bigint NOT NULL,
    -- The number of its event in events.
    lead_id bigint NOT NULL,
    status text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'qualified', 'scheduled', 'customer', 'lost')),
    -- The form's fields as JSON, sealed.
    contact bytea NOT NULL,
    -- HMAC-SHA256 of what a person is found again by; NULL: it was not given. The phone in Brazil without its ninth digit, so that
    -- both ways of writing it are one.
    email_hmac bytea,
    phone_hmac bytea,
    cpf_hmac bytea,
    external_id_hmac bytea,
    visitor_hmac bytea,
    -- Meta's browser and click id as they were then, for an event that comes later without them.
    fbp text,
    fbc text,
    -- What the visitor said about the use of the data, as the page sent it; NULL: nothing came.
    consent jsonb,
    -- The visitor refused ads: nothing of this was or will be forwarded.
    ads_refused boolean NOT NULL,
    -- Of its event, which is called lead_id: the day under which events keeps it, and the client's id of it.
    event_day date NOT NULL,
    event_id text NOT NULL,
    -- The API key and the request that brought it.
    key_id bigint,
    request_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, lead_id)
);
CREATE INDEX leads_by_email ON leads (dataset_id, email_hmac, created_at) WHERE email_hmac IS NOT NULL;
CREATE INDEX leads_by_phone ON leads (dataset_id, phone_hmac, created_at) WHERE phone_hmac IS NOT NULL;
CREATE INDEX leads_by_cpf ON leads (dataset_id, cpf_hmac, created_at) WHERE cpf_hmac IS NOT NULL;
CREATE INDEX leads_by_external_id ON leads (dataset_id, external_id_hmac, created_at)
    WHERE external_id_hmac IS NOT NULL;
CREATE INDEX leads_by_visitor ON leads (dataset_id, visitor_hmac, created_at) WHERE visitor_hmac IS NOT NULL;

CREATE TABLE purchases (
    dataset_id bigint NOT NULL,
    -- The business's own number of the order, which is also the id of its event.
    order_id text NOT NULL,
    purchase_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    -- It only moves on: pending, then approved, then refunded or cancelled.
    status text NOT NULL CHECK (status IN ('pending', 'approved', 'refunded', 'cancelled')),
    -- In the smallest unit of the currency: cents of BRL, yen of JPY.
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    -- The business's own fields, without personal data.
    details jsonb NOT NULL,
    -- The lead that became this order, and by what it was found: lead_id, external_id, email, phone, cpf, visitor.
    lead_id bigint,
    match_method text,
    CHECK ((lead_id IS NULL) = (match_method IS NULL)),
    -- The event that was not made of it yet, with the browser's data: of a claim, until a payment confirms it.
    claimed_event text,
    -- As in leads.
    consent jsonb,
    ads_refused boolean NOT NULL,
    -- The event that was made of it. The day is unknown where the event had come by another way before.
    event_number bigint,
    event_day date,
    key_id bigint,
    request_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, order_id)
);
CREATE INDEX purchases_by_time ON purchases (dataset_id, created_at);
CREATE INDEX purchases_by_lead ON purchases (dataset_id, lead_id) WHERE lead_id IS NOT NULL;

-- Contacts of a visitor with an ad or another way to the site, as the page or the server told of them.
CREATE TABLE touchpoints (
    dataset_id bigint NOT NULL,
    -- As in leads.
    visitor_hmac bytea NOT NULL,
    touched_at timestamptz NOT NULL,
    -- paid_search, organic_social, direct, ...
    channel text NOT NULL,
    -- As they came, cut.
    utm_source text,
    utm_medium text,
    utm_campaign text,
    utm_content text,
    utm_term text,
    utm_id text,
    fbclid text,
    gclid text,
    gbraid text,
    wbraid text,
    msclkid text,
    ttclid text,
    -- Affiliate parameters of Brazilian checkouts.
    src text,
    sck text,
    xcod text,
    -- Path of the first page, and the address before it.
    landing text,
    referrer text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, visitor_hmac, touched_at)
);

-- First answers to requests that carry an idempotency key, for 48 hours.
CREATE TABLE idempotency_keys (
    dataset_id bigint NOT NULL,
    -- The API key that used it: another's is another.
    key_id bigint NOT NULL,
    idempotency_key text NOT NULL,
    -- SHA-256 of address and body.
    body_hash bytea NOT NULL,
    -- Written in the same transaction as what was answered for.
    status_code smallint NOT NULL,
    answer text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, key_id, idempotency_key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
