SET LOCAL lock_timeout = '5s';

DROP TABLE retention_marks;
