-- An order of the Orders API tells of its payments before the Payments API has a number for them. One that was booked by then
-- stays under the order's own number of it; whatever tells of it later by the other number is booked there, too.
SET LOCAL lock_timeout = '5s';

CREATE TABLE payment_aliases (
    dataset_id bigint NOT NULL,
    -- The number in the Payments API, by which it is read.
    payment_id text NOT NULL,
    -- The one in payments.
    booked_as text NOT NULL CHECK (booked_as <> payment_id),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, payment_id),
    UNIQUE (dataset_id, booked_as)
);
