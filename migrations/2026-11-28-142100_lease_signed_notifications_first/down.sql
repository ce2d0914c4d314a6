SET LOCAL lock_timeout = '5s';

DROP INDEX payment_notifications_due_by_source;
