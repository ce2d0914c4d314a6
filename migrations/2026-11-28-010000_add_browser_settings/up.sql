SET LOCAL lock_timeout = '5s';

-- Which pages may send with the dataset's publishable keys: origins as browsers write them, https://*.example.com.br for one
-- label before a domain, null for local files. NULL or empty: only pages of the host that the gateway itself is on.
ALTER TABLE datasets ADD COLUMN allowed_origins text[],
    -- Answers to pages refresh _rid, _fbp and _fbc for this domain, which browsers would otherwise forget after days. NULL: not.
    ADD COLUMN cookie_domain text CHECK (cookie_domain <> '');
