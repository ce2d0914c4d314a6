-- Money as the payment provider tells it. A notification only says where to look; a payment is what was last read there with the
-- account's own token; the books are the movements, which are added to and never changed.
SET LOCAL lock_timeout = '5s';

-- A seller's account at Mercado Pago. One account pays into one dataset: its money is counted once.
CREATE TABLE payment_accounts (
    dataset_id bigint NOT NULL REFERENCES datasets ON DELETE CASCADE,
    -- Mercado Pago's number of the user who is paid (collector_id), which is also how its webhook address ends.
    account_id bigint NOT NULL UNIQUE CHECK (account_id > 0),
    label text NOT NULL,
    access_token_sealed bytea NOT NULL,
    -- The secrets that webhooks are signed with: more than one while a new one takes over. None: no webhook can be verified.
    webhook_secrets_sealed bytea[] NOT NULL DEFAULT '{}' CHECK (cardinality(webhook_secrets_sealed) <= 5),
    -- What is done with notifications that nobody can sign (IPN, QR codes). ignore: nothing. hint: the payment is looked up.
    unsigned text NOT NULL DEFAULT 'ignore' CHECK (unsigned IN ('ignore', 'hint')),
    -- Signatures older than this are refused. NULL: none is, since a retry may carry the first signature.
    signature_max_age_seconds integer CHECK (signature_max_age_seconds > 0),
    -- Which payments are money: those of this mode. Others are kept and never counted.
    live_mode boolean NOT NULL DEFAULT true,
    currency text NOT NULL DEFAULT 'BRL' CHECK (currency ~ '^[A-Z]{3}$'),
    -- The value that Meta is told. gross: the price of the goods. net: what Mercado Pago credits, after its fees.
    conversion_value text NOT NULL DEFAULT 'gross' CHECK (conversion_value IN ('gross', 'net')),
    -- Why nothing is asked until retry_at: the token is revoked or may not read this. A person has to act.
    blocked_reason text,
    retry_at timestamptz,
    CHECK ((blocked_reason IS NULL) = (retry_at IS NULL)),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (dataset_id, account_id)
);

-- What was told to us, once each however often it came. Nothing of a body is kept beside the ids: it is not believed anyway.
CREATE TABLE payment_notifications (
    dataset_id bigint NOT NULL,
    notification_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL,
    -- SHA-256 over the topic and the notification's own id: a retry has the same, a later state of the same payment another.
    delivery_key bytea NOT NULL CHECK (octet_length(delivery_key) = 32),
    -- webhook: signed. hint: not signed, only a reason to look.
    source text NOT NULL CHECK (source IN ('webhook', 'hint')),
    -- In one spelling each; other: known to nobody here.
    topic text NOT NULL CHECK (topic IN (
        'payment', 'order', 'merchant_order', 'chargeback', 'claim', 'fraud_alert', 'other'
    )),
    resource_id text NOT NULL,
    -- payment.created and the like, for people: nothing is decided by it.
    action text,
    -- Mercado Pago's own x-request-id, for its support.
    remote_request_id text,
    deliveries integer NOT NULL DEFAULT 1 CHECK (deliveries > 0),
    -- done: what it points at was read and is in the books. ignored: there is nothing to read. parked: it could not be read after
    -- all tries; the next sweep reads it.
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'ignored', 'parked')),
    -- Tries behind it, and when the next is due. While one is under way, when its lease ends.
    attempts smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    due_at timestamptz NOT NULL,
    -- Counts up with each lease, so that whoever lost one finishes nothing.
    fence bigint NOT NULL DEFAULT 0,
    outcome text,
    CHECK ((state = 'pending') = (finished_at IS NULL)),
    received_at timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (dataset_id, notification_id),
    UNIQUE (dataset_id, account_id, delivery_key)
);
CREATE INDEX payment_notifications_due ON payment_notifications (due_at) WHERE state = 'pending';
CREATE INDEX payment_notifications_by_resource ON payment_notifications (dataset_id, resource_id);

-- A payment as it was last read. It only moves forward: what was read of an earlier moment changes nothing.
CREATE TABLE payments (
    dataset_id bigint NOT NULL,
    -- Digits, or PAY... of the Orders API where no payment of digits is behind it.
    payment_id text NOT NULL,
    account_id bigint NOT NULL,
    -- Mercado Pago's words, an open set.
    status text NOT NULL,
    status_detail text NOT NULL,
    -- counted: in the books. test_mode: of the other mode than the account's. not_a_sale: a transfer or the like.
    books text NOT NULL CHECK (books IN ('counted', 'test_mode', 'not_a_sale')),
    operation_type text NOT NULL,
    currency text NOT NULL,
    -- In the smallest unit. The price of the goods; what was given back of it; what the seller is credited and pays for it
    -- (NULL: not told); what the buyer paid, with interest and shipping.
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    refunded_minor bigint NOT NULL CHECK (refunded_minor >= 0),
    net_minor bigint,
    fee_minor bigint,
    total_paid_minor bigint,
    payment_method text NOT NULL,
    payment_type text NOT NULL,
    installments integer,
    external_reference text,
    -- The Orders API's or the commercial order it belongs to.
    remote_order_id text,
    -- The order it pays for, in purchases, if it is recorded there.
    order_id text NOT NULL,
    -- The lead that paid, by what it was found, and how sure that is, in percent.
    lead_id bigint,
    match_method text,
    match_confidence smallint CHECK (match_confidence BETWEEN 0 AND 100),
    CHECK ((lead_id IS NULL) = (match_method IS NULL) AND (lead_id IS NULL) = (match_confidence IS NULL)),
    -- By what the payer is found again, as in leads; nothing else of the payer is kept.
    payer_email_hmac bytea,
    payer_phone_hmac bytea,
    payer_cpf_hmac bytea,
    -- What became of its conversion. none: nothing was due yet. sent: accepted here as an event. duplicate: the order's event had
    -- come before. withheld: the person refused. too_old, refunded_first, other_currency, not_verified, invalid: why there is none.
    conversion text NOT NULL DEFAULT 'none' CHECK (conversion IN (
        'none', 'sent', 'duplicate', 'withheld', 'too_old', 'refunded_first', 'other_currency', 'not_verified', 'invalid'
    )),
    -- As Mercado Pago says.
    created_at timestamptz NOT NULL,
    approved_at timestamptz,
    updated_at timestamptz NOT NULL,
    expires_at timestamptz,
    money_release_at timestamptz,
    -- By what we learnt of it first, and when; when it was last read.
    discovered_by text NOT NULL CHECK (discovered_by IN ('webhook', 'hint', 'sweep', 'operator')),
    first_seen_at timestamptz NOT NULL,
    read_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, payment_id)
);
CREATE INDEX payments_by_creation ON payments (dataset_id, account_id, created_at);
CREATE INDEX payments_by_order ON payments (dataset_id, order_id);
CREATE INDEX payments_by_lead ON payments (dataset_id, lead_id) WHERE lead_id IS NOT NULL;
CREATE INDEX payments_by_payer_email ON payments (dataset_id, payer_email_hmac) WHERE payer_email_hmac IS NOT NULL;

-- The books: money that came and went, each once, at the time it did. Net revenue of a period is the sum of its amounts;
-- gross profit is that less its fees. An order's money: join payments by payment_id, then its order_id.
CREATE TABLE purchase_movements (
    dataset_id bigint NOT NULL,
    payment_id text NOT NULL,
    -- approval, refund:<its id>, chargeback:<n>, reimbursement:<n>, adjustment:<n>, fee:<n>
    movement_key text NOT NULL,
    movement_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CHECK (kind IN ('approval', 'refund', 'chargeback', 'reimbursement', 'adjustment', 'fee')),
    -- Signed, in the smallest unit.
    amount_minor bigint NOT NULL,
    -- By how much what the seller pays for this payment changed.
    fee_minor bigint NOT NULL DEFAULT 0,
    currency text NOT NULL,
    -- As Mercado Pago says, and when it was booked here.
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    CHECK (CASE kind
        WHEN 'approval' THEN amount_minor >= 0
        WHEN 'reimbursement' THEN amount_minor > 0
        WHEN 'fee' THEN amount_minor = 0 AND fee_minor <> 0
        WHEN 'adjustment' THEN amount_minor <> 0
        ELSE amount_minor < 0
    END),
    PRIMARY KEY (dataset_id, payment_id, movement_key),
    FOREIGN KEY (dataset_id, payment_id) REFERENCES payments
);
CREATE INDEX purchase_movements_by_time ON purchase_movements (dataset_id, occurred_at);
-- What was booked is corrected by another movement, never changed: a month that was reported stays as it was.
CREATE FUNCTION refuse_to_change_books() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'purchase_movements is append-only: book another movement';
END $$;
CREATE TRIGGER purchase_movements_append_only BEFORE UPDATE OR DELETE ON purchase_movements
    FOR EACH ROW EXECUTE FUNCTION refuse_to_change_books();

-- One comparison of an account's payments with ours.
CREATE TABLE reconciliation_runs (
    dataset_id bigint NOT NULL,
    run_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('hourly', 'nightly', 'weekly', 'manual')),
    -- The date of a payment that the window is of.
    window_of text NOT NULL CHECK (window_of IN ('date_last_updated', 'date_created')),
    window_from timestamptz NOT NULL,
    window_to timestamptz NOT NULL CHECK (window_to > window_from),
    -- Everything before it is compared and counted below: a run that was killed goes on here.
    cursor_at timestamptz NOT NULL CHECK (cursor_at BETWEEN window_from AND window_to),
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'complete', 'failed')),
    lease_until timestamptz NOT NULL,
    fence bigint NOT NULL DEFAULT 1,
    -- Of the account's currency: what Mercado Pago has, what we had before, and what we have after.
    remote_count bigint NOT NULL DEFAULT 0,
    remote_minor bigint NOT NULL DEFAULT 0,
    local_count bigint NOT NULL DEFAULT 0,
    local_minor bigint NOT NULL DEFAULT 0,
    after_minor bigint NOT NULL DEFAULT 0,
    -- The sum of the findings' differences.
    difference_minor bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    problem text,
    CHECK ((state = 'running') = (finished_at IS NULL)),
    -- Every cent between the two sums is a finding; no plug figure.
    CHECK (remote_minor - local_minor = difference_minor),
    CHECK (state <> 'complete' OR cursor_at = window_to),
    PRIMARY KEY (dataset_id, run_id)
);
-- One at a time: whoever takes over goes on with it.
CREATE UNIQUE INDEX reconciliation_runs_running ON reconciliation_runs (dataset_id, account_id, kind) WHERE state = 'running';
CREATE INDEX reconciliation_runs_watermark ON reconciliation_runs (dataset_id, account_id, kind, window_to)
    WHERE state = 'complete';

-- What a run found to differ, or worth a person's look.
CREATE TABLE reconciliation_findings (
    dataset_id bigint NOT NULL,
    run_id bigint NOT NULL,
    payment_id text NOT NULL,
    finding text NOT NULL CHECK (finding IN (
        'missing_local', 'missing_remote', 'status_drift', 'amount_drift', 'unattributed', 'duplicate_reference', 'fee_drift',
        'conversion_gap', 'currency', 'test_mode', 'unreadable'
    )),
    -- Recognised revenue there and here, as it was found. Only one finding of a payment carries the difference.
    remote_minor bigint NOT NULL,
    local_minor bigint NOT NULL,
    -- applied: the books were brought to it. listed: for a person. resent: its conversion was sent after all.
    action text NOT NULL CHECK (action IN ('applied', 'listed', 'resent')),
    detail text NOT NULL DEFAULT '',
    found_at timestamptz NOT NULL,
    PRIMARY KEY (dataset_id, run_id, payment_id, finding),
    FOREIGN KEY (dataset_id, run_id) REFERENCES reconciliation_runs ON DELETE CASCADE
);
