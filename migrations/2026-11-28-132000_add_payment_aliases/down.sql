SET LOCAL lock_timeout = '5s';

DROP TABLE payment_aliases;
