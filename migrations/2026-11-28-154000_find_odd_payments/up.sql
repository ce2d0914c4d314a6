SET LOCAL lock_timeout = '2s';

-- Disputes and warnings of fraud are few among many, and looked for every minute.
CREATE INDEX payments_in_dispute ON payments (dataset_id, updated_at) WHERE status IN ('in_mediation', 'charged_back');
CREATE INDEX payment_notifications_of_fraud ON payment_notifications (dataset_id, received_at) WHERE topic = 'fraud_alert';
