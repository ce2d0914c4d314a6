SET LOCAL lock_timeout = '5s';

DO $bi$
BEGIN
    EXECUTE replace($views$
DROP VIEW bi.reaching_meta;
$views$, ' bi.', format(' %I.', CASE current_schema() WHEN 'public' THEN 'bi' ELSE current_schema() || '_bi' END));
END $bi$;
