SET LOCAL lock_timeout = '2s';

DROP INDEX payment_notifications_of_fraud;
DROP INDEX payments_in_dispute;
