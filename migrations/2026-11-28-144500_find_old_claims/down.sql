SET LOCAL lock_timeout = '2s';

DROP INDEX purchases_claimed;
