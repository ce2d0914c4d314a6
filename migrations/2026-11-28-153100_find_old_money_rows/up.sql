-- What of money's rows is not kept for ever is found by its age.
SET LOCAL lock_timeout = '5s';

CREATE INDEX payment_notifications_by_age ON payment_notifications (finished_at) WHERE finished_at IS NOT NULL;
-- By the creation, which never changes: whenever a payment is read again, no index is written for it.
CREATE INDEX payments_of_payers ON payments (created_at)
    WHERE num_nonnulls(payer_email_hmac, payer_phone_hmac, payer_cpf_hmac) > 0;
CREATE INDEX reconciliation_findings_by_age ON reconciliation_findings (found_at);
