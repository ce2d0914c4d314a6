DROP VIEW bi.revenue_forecast, bi.revenue_by_day, bi.cohorts_by_month, bi.payback_by_campaign, bi.cac_by_campaign_week,
    bi.roas_by_channel_day, bi.funnel_by_week, bi.leads_by_day;
DROP FUNCTION provisional_from, major_units, currency_decimals;
-- The schema goes with its last view, whoever made that.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'bi'::regnamespace) THEN
        DROP SCHEMA bi;
    END IF;
END $$;
