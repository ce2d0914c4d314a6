SET LOCAL lock_timeout = '5s';

ALTER TABLE payment_notifications DROP COLUMN traceparent;
