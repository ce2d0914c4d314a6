-- A webhook and what is done about it are one trace.
SET LOCAL lock_timeout = '5s';

ALTER TABLE payment_notifications
    -- W3C trace context of the request that told it first, if that request was traced.
    ADD COLUMN traceparent text;
