DO $$
DECLARE
    bi text := CASE current_schema() WHEN 'public' THEN 'bi' ELSE current_schema() || '_bi' END;
    view_name text;
BEGIN
    FOREACH view_name IN ARRAY ARRAY['revenue_forecast', 'revenue_by_day', 'cohorts_by_month', 'payback_by_campaign',
        'cac_by_campaign_week', 'roas_by_channel_day', 'funnel_by_week', 'leads_by_day']
    LOOP
        EXECUTE format('DROP VIEW %I.%I', bi, view_name);
    END LOOP;
END $$;
DROP FUNCTION provisional_from, major_units, currency_decimals;
