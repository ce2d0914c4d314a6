-- People who asked to be forgotten: that it was done, and that nothing brings them back.
SET LOCAL lock_timeout = '5s';

-- A payment that was made before is read again for a year, with whoever made it: whom it is not tied to any more stands here, by
-- the HMACs that leads have. What a person does afterwards is new.
CREATE TABLE suppressed_people (
    dataset_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('email', 'phone', 'cpf')),
    hmac bytea NOT NULL,
    suppressed_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, kind, hmac)
);

-- Receipts: when it was asked for and done, and how much of what kind was erased. Nothing of the person.
CREATE TABLE erasures (
    dataset_id bigint NOT NULL,
    erasure_id uuid NOT NULL,
    -- By what the person was named: email, phone, lead.
    named_by text[] NOT NULL CHECK (named_by <> '{}'),
    asked_at timestamptz NOT NULL,
    -- NULL: under way, or interrupted; asked for again it goes on.
    finished_at timestamptz,
    leads integer NOT NULL DEFAULT 0,
    touchpoints integer NOT NULL DEFAULT 0,
    purchases integer NOT NULL DEFAULT 0,
    payments integer NOT NULL DEFAULT 0,
    events integer NOT NULL DEFAULT 0,
    PRIMARY KEY (dataset_id, erasure_id)
);
