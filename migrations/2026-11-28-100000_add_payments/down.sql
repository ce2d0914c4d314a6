DROP TABLE reconciliation_findings, reconciliation_runs, purchase_movements, payments, payment_notifications, payment_accounts;
DROP FUNCTION refuse_to_change_books();
