-- campaign_daily::make_cohorts: customers by the month of their first order, and what their orders of each month since are worth
-- now. A buyer who is nobody known is a customer of one order.
-- $1 dataset, $2 today
INSERT INTO cohort_monthly (dataset_id, currency, cohort, age, customers, orders, net_minor, fee_minor)
WITH bought AS (
    SELECT coalesce(customer_id::text, 'order ' || order_id) AS customer, currency, date_trunc('month', day)::date AS month,
        net_minor, fee_minor
    FROM credited_orders WHERE dataset_id = $1 AND gross_minor > 0
), customer AS (
    SELECT customer, currency, min(month) AS cohort FROM bought GROUP BY customer, currency
), cohort AS (
    SELECT currency, cohort, count(*) AS customers FROM customer GROUP BY currency, cohort
), aged AS (
    SELECT customer.currency, customer.cohort,
        ((extract(year FROM month) - extract(year FROM customer.cohort)) * 12
            + extract(month FROM month) - extract(month FROM customer.cohort))::integer AS age,
        count(*) AS orders, sum(net_minor)::bigint AS net_minor, sum(fee_minor)::bigint AS fee_minor
    FROM bought JOIN customer ON customer.customer = bought.customer AND customer.currency = bought.currency
    GROUP BY 1, 2, 3
)
SELECT $1, cohort.currency, cohort.cohort, ages.age, cohort.customers, coalesce(aged.orders, 0), coalesce(aged.net_minor, 0),
    coalesce(aged.fee_minor, 0)
FROM cohort
CROSS JOIN LATERAL generate_series(0, greatest(0,
    ((extract(year FROM $2::date) - extract(year FROM cohort.cohort)) * 12
        + extract(month FROM $2::date) - extract(month FROM cohort.cohort))::integer)) AS ages (age)
LEFT JOIN aged ON aged.currency = cohort.currency AND aged.cohort = cohort.cohort AND aged.age = ages.age
