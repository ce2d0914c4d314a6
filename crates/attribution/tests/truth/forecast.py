"""Next month's revenue a second time: seasonal naive against damped Holt-Winters, chosen and bounded by back-tests."""

from datetime import date, timedelta
from itertools import product
from statistics import quantiles

GRID = list(product((0.05, 0.1, 0.2, 0.4, 0.6), (0.01, 0.1, 0.3), (0.05, 0.15, 0.3), (0.8, 0.9, 0.98)))


def run_rate(y, skip, days):
    return sum(sum(y[len(y) - 7 * w + h % 7] for w in (1, 2, 3, 4)) / 4 for h in range(skip, skip + days))


def naive(y, skip, days):
    return sum(y[len(y) - 7 + h % 7] for h in range(skip, skip + days))


def fitted(y, alpha, beta_star, gamma, phi):
    """Level, trend, seasons by day, and the squared errors of one day ahead, in the textbook's weighed-mean form."""
    level = sum(y[:7]) / 7
    trend = (sum(y[7:14]) / 7 - level) / 7
    season = [value - level for value in y[:7]]
    squares = 0.0
    for t in range(7, len(y)):
        ahead = level + phi * trend
        squares += (y[t] - ahead - season[t - 7]) ** 2
        new = alpha * (y[t] - season[t - 7]) + (1 - alpha) * ahead
        trend = beta_star * (new - level) + (1 - beta_star) * phi * trend
        season.append(gamma * (y[t] - ahead) + (1 - gamma) * season[t - 7])
        level = new
    return squares, level, trend, season


def holt_winters(y, skip, days):
    y = y[-365:]
    best = min(((fitted(y, *p), p) for p in GRID), key=lambda fit: fit[0][0])
    (_, level, trend, season), (_, _, _, phi) = best
    total = 0.0
    for h in range(skip + 1, skip + days + 1):
        total += level + sum(phi**i for i in range(1, h + 1)) * trend + season[len(y) - 7 + (h - 1) % 7]
    return total


def deciles(ratios):
    cuts = quantiles(ratios, n=10, method="inclusive")
    return cuts[0], cuts[-1]


def tested(method, y, skip, days):
    """(relative error of all totals, ratios of actual to forecast) over origins a week apart."""
    origin, pairs = len(y) - skip - days, []
    while origin >= 28 and len(pairs) < 26:
        actual = sum(y[origin + skip:origin + skip + days])
        pairs.append((actual, method(y[:origin], skip, days)))
        origin -= 7
    if not pairs:
        return float("inf"), []
    error = sum(abs(a - f) for a, f in pairs) / sum(abs(a) for a, _ in pairs)
    return error, [a / f for a, f in pairs if f > 0]


def cents(value):
    return int(value + 0.5)


def total(y, skip, days):
    if len(y) < 28:
        return None
    methods = [("run_rate", run_rate)] if len(y) < 90 else [("seasonal_naive", naive), ("holt_winters", holt_winters)]
    best = min(methods, key=lambda method: tested(method[1], y, skip, days)[0])
    point = max(0.0, best[1](y, skip, days))
    _, ratios = tested(best[1], y, skip, days)
    if len(ratios) < 9:
        return best[0], cents(point), None, None
    low, high = deciles(ratios)
    return best[0], cents(point), cents(max(0.0, point * low)), cents(point * high)


def months(revenue, today):
    """[month, method, point, lower, upper] of this month and the next; today is still to come."""
    first = min(revenue)
    y = [float(revenue.get(first + timedelta(days=d), 0)) for d in range((today - first).days)]
    begin = today.replace(day=1)
    following = (begin + timedelta(days=31)).replace(day=1)
    after = (following + timedelta(days=31)).replace(day=1)
    left = (following - today).days
    actual = sum(minor for day, minor in revenue.items() if begin <= day < today)
    result = []
    for month, there, skip, days in ((begin, actual, 0, left), (following, 0, left, (after - following).days)):
        found = total(y, skip, days)
        if found:
            method, *values = found
            result.append([str(month), method] + [None if value is None else there + value for value in values])
    return result
