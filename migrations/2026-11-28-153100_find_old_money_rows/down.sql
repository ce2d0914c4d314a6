SET LOCAL lock_timeout = '5s';

DROP INDEX payment_notifications_by_age;
DROP INDEX payments_of_payers;
DROP INDEX reconciliation_findings_by_age;
