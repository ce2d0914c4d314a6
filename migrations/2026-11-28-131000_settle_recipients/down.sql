SET LOCAL lock_timeout = '5s';
DROP TABLE alert_message_recipients;
