-- A mail goes to each address by itself: what one server answers is no matter of another's. Whoever has a message does not get it
-- again because somebody else still waits for it.
SET LOCAL lock_timeout = '5s';

CREATE TABLE alert_message_recipients (
    message_id bigint NOT NULL REFERENCES alert_messages ON DELETE CASCADE,
    -- SHA-256 of the address: the address itself is in the configuration alone.
    recipient bytea NOT NULL CHECK (octet_length(recipient) = 32),
    -- false: refused for good.
    was_sent boolean NOT NULL,
    settled_at timestamptz NOT NULL,
    PRIMARY KEY (message_id, recipient)
);
