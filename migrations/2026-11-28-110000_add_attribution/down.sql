DROP INDEX leads_by_time, purchases_by_change, purchase_movements_by_booking;
DROP TABLE revenue_forecasts, revenue_daily, campaign_cohorts, cohort_monthly, campaign_daily, campaign_days_due, attribution_state, attribution_runs,
    attribution_credits, credited_orders, customers, spend_imports, ad_spend;
DROP SEQUENCE customer_numbers;
