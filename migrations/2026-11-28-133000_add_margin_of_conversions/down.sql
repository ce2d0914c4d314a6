SET LOCAL lock_timeout = '5s';

-- What the version before does not know is the price again, which is its default.
UPDATE payment_accounts SET conversion_value = 'gross', margin_millionths = NULL WHERE conversion_value = 'margin';
ALTER TABLE payment_accounts
    DROP CONSTRAINT payment_accounts_margin_check,
    DROP CONSTRAINT payment_accounts_conversion_value_check,
    DROP COLUMN margin_millionths,
    ADD CONSTRAINT payment_accounts_conversion_value_check CHECK (conversion_value IN ('gross', 'net'));
