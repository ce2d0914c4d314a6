SET LOCAL lock_timeout = '5s';

COMMENT ON TABLE payment_aliases IS NULL;
-- The old programs would read these under the order's number, which the Payments API does not know.
DELETE FROM payment_aliases WHERE booked_as NOT LIKE 'PAY%';
DROP INDEX payments_told_by_orders;
ALTER TABLE payments DROP COLUMN told_by_order;
