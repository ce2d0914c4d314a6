-- The value that Meta is told of a purchase may be a share of its price.
SET LOCAL lock_timeout = '5s';

ALTER TABLE payment_accounts
    -- The seller's margin as a share of the price, in millionths: 350000 is 35 %. Only where the value is the margin.
    ADD COLUMN margin_millionths integer CHECK (margin_millionths BETWEEN 10000 AND 1000000),
    DROP CONSTRAINT payment_accounts_conversion_value_check,
    ADD CONSTRAINT payment_accounts_conversion_value_check CHECK (conversion_value IN ('gross', 'net', 'margin')),
    ADD CONSTRAINT payment_accounts_margin_check CHECK ((conversion_value = 'margin') = (margin_millionths IS NOT NULL));
