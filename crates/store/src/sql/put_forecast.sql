-- revenue_forecasts::put
INSERT INTO revenue_forecasts (dataset_id, currency, month, made_on, actual_minor, point_minor, lower_minor, upper_minor,
    interval_basis, method, trained_days, back_tests, wape, mape, coverage)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (dataset_id, currency, month, made_on) DO UPDATE SET actual_minor = excluded.actual_minor,
    point_minor = excluded.point_minor, lower_minor = excluded.lower_minor, upper_minor = excluded.upper_minor,
    interval_basis = excluded.interval_basis, method = excluded.method, trained_days = excluded.trained_days,
    back_tests = excluded.back_tests, wape = excluded.wape, mape = excluded.mape, coverage = excluded.coverage
