-- A payment and the order of the Orders API that it is of are stamped by two clocks. Whichever told of a payment last, its time is
-- by that one.
SET LOCAL lock_timeout = '5s';

ALTER TABLE payments ADD COLUMN told_by_order boolean NOT NULL DEFAULT false;
-- The Payments API would have told the fee.
UPDATE payments SET told_by_order = true WHERE payment_id LIKE 'PAY%' AND fee_minor IS NULL;
-- The list of payments has none of these: comparisons read their orders again.
CREATE INDEX payments_told_by_orders ON payments (dataset_id, account_id, created_at) WHERE told_by_order;

COMMENT ON TABLE payment_aliases IS 'The two numbers of a payment. booked_as is the one in payments, payment_id the other; whichever
was booked first stays, and nothing is booked under the other one any more.';
