-- What Mercado Pago signed is followed before what anybody may have sent.
SET LOCAL lock_timeout = '5s';

CREATE INDEX payment_notifications_due_by_source ON payment_notifications ((source = 'hint'), due_at) WHERE state = 'pending';
