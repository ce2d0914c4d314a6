"""What credits, sums, cohorts and forecasts must be, computed a second time: slowly, in plain Python, from definitions.

    python3 truth.py DIRECTORY SEED

writes DIRECTORY/history.sql, DIRECTORY/spend.csv and DIRECTORY/expected.json. Written from the definitions of attribution and
metrics alone; it shares nothing with the Rust code. Money is integers of cents, shares are fractions, nothing is a float but
the forecast.
"""

import json
import sys
from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import forecast
import history as histories

DATASET = 123456789012345
ZONE = ZoneInfo("America/Sao_Paulo")
MODELS = ["linear", "first", "last", "last_non_direct", "time_decay", "position", "markov"]
MILLION = 1_000_000


def local_day(moment):
    return moment.astimezone(ZONE).date()


def half_away(value):
    """A fraction as a whole number, halves away from zero."""
    sign = -1 if value < 0 else 1
    return sign * int(abs(value) + Fraction(1, 2))


# ---- touches ----

def paid_name(channel):
    """A paid channel that is called like one that costs nothing is told apart from it."""
    free = "email sms whatsapp push organic_search organic_social referral direct unmatched"
    return channel + "_ads" if channel in free.split() else channel


def origin(source):
    """(channel as in spend, campaign, was it paid)"""
    channel, utm_source, _, name, campaign_id, click = source
    is_ad = channel.startswith("paid") or (channel == "organic_social" and click == "fbclid" and campaign_id)
    key = campaign_id or ("name:" + name.lower() if name else "")
    if not is_ad:
        return channel, key, False
    if click in ("gclid", "wbraid"):
        platform = "google"
    elif (utm_source or "").lower() in ("ig", "facebook") or (not utm_source and click == "fbclid"):
        platform = "meta"
    else:
        platform = utm_source.lower().replace(" ", "_")
    return paid_name(platform), key, True


def people(leads):
    """lead id -> visitors of whoever that is: those of leads with the same e-mail or phone, unless more than five share it."""
    result = {}
    for lead in leads:
        visitors = {lead["visitor"]}
        for field in ("email", "phone"):
            same = [other for other in leads if lead[field] is not None and other[field] == lead[field]]
            if len(same) <= 5:
                visitors |= {other["visitor"] for other in same}
        result[lead["id"]] = visitors
    return result


def path(touches, until, is_known):
    """The touches that count: [(moment or None, channel, campaign, paid)], the oldest first."""
    kept, begun = [], {}
    for at, channel, campaign, paid in sorted(touches):
        if not until - timedelta(days=30) <= at <= until:
            continue
        began = begun.get((channel, campaign))
        if began is not None and at - began <= timedelta(minutes=30):
            continue
        begun[(channel, campaign)] = at
        kept.append((at, channel, campaign, paid))
    named = [touch for touch in kept if touch[1] != "direct"]
    return named or kept or [(None, "direct" if is_known else "unmatched", "", False)]


def weights(model, steps, until):
    """Exact shares, oldest first."""
    n = len(steps)
    if model == "linear":
        return [Fraction(1, n)] * n
    if model == "first":
        return [Fraction(int(i == 0)) for i in range(n)]
    if model in ("last", "last_non_direct"):  # of paths with a named touch the direct ones are gone already
        return [Fraction(int(i == n - 1)) for i in range(n)]
    if model == "time_decay":
        days = [(until - at).total_seconds() / 86400 if at else 0.0 for at, *_ in steps]
        raw = [Fraction(max(1, round(2**32 * 2 ** (-d / 7)))) for d in days]
        return [w / sum(raw) for w in raw]
    # position; and Markov, for which this history has not the volume
    if n < 3:
        return [Fraction(1, n)] * n
    return [Fraction(2, 5) if i in (0, n - 1) else Fraction(1, 5) / (n - 2) for i in range(n)]


def split(total, shares):
    """Largest remainder: of equal remainders the earliest first; a negative amount as its opposite."""
    if total < 0:
        return [-part for part in split(-total, shares)]
    exact = [total * share for share in shares]
    parts = [int(part) for part in exact]
    order = sorted(range(len(shares)), key=lambda i: (parts[i] - exact[i], i))
    for i in order[:total - sum(parts)]:
        parts[i] += 1
    return parts


# ---- orders ----

def orders_of(history):
    """Paid orders: money from the movements of their counted payments, placed when the first payment was made."""
    movements = defaultdict(list)
    for movement in history["movements"]:
        movements[movement["payment"]].append(movement)
    orders = {}
    for payment in history["payments"]:
        if not payment["counted"]:
            continue
        order = orders.setdefault(payment["order"], dict(
            id=payment["order"], placed=payment["placed"], currency=payment["currency"], gross=0, net=0, fee=0, lead=None, email=None, cpf=None))
        order["placed"] = min(order["placed"], payment["placed"])
        order["lead"] = order["lead"] or payment["lead"]
        order["email"] = order["email"] or payment["email"]
        order["cpf"] = order["cpf"] or payment["cpf"]
        for movement in movements[payment["id"]]:
            order["gross"] += movement["minor"] if movement["kind"] == "approval" else 0
            order["net"] += movement["minor"]
            order["fee"] += movement["fee"]
    return sorted((o for o in orders.values() if o["gross"]), key=lambda o: (o["placed"], o["id"]))


def nobodys_own(leads, payments):
    """Keys that more than five people have, told apart by e-mail, phone or CPF: a shop's, an office's, a tablet's."""
    people_of = defaultdict(lambda: defaultdict(set))
    for lead in leads:
        for field in ("email", "phone", "visitor"):
            for other in ("email", "phone"):
                if lead[field] and lead[other]:
                    people_of[lead[field]][other].add(lead[other])
    for payment in payments:
        if payment["email"] and payment["cpf"]:
            people_of[payment["email"]]["cpf"].add(payment["cpf"])
    return {key for key, kinds in people_of.items() if any(len(kind) > 5 for kind in kinds.values())}


def customers_of(orders, history):
    """order id -> a representative of whoever bought: all orders that share any key of a person are one customer's."""
    parent, leads = {}, history["leads"]
    shared = nobodys_own(leads, history["payments"])

    def find(key):
        parent.setdefault(key, key)
        while parent[key] != key:
            key = parent[key]
        return key

    by_id = {lead["id"]: lead for lead in leads}
    keys = {}
    for order in orders:
        lead = by_id.get(order["lead"])
        own = [order["email"], order["cpf"]] + ([lead["email"], lead["phone"], lead["visitor"]] if lead else [])
        own = [key for key in own if key and key not in shared]
        keys[order["id"]] = own or [order["id"]]
        for key in own[1:]:
            parent[find(key)] = find(own[0])
    return {order["id"]: find(keys[order["id"]][0]) for order in orders}


def month_of(day):
    return day.replace(day=1)


def months_between(earlier, later):
    return (later.year - earlier.year) * 12 + later.month - earlier.month


# ---- the funnel, and where Purchases are ----

PERIOD = (date(2026, 8, 31), date(2026, 11, 20))


def is_in_period(moment):
    return PERIOD[0] <= local_day(moment) <= PERIOD[1]


def funnel(history):
    """[leads, qualified, began to pay, paid, paid again, payments that may still be paid] of the leads of the period, until now."""
    result = [0] * 6
    for lead in history["leads"]:
        if not is_in_period(lead["created"]):
            continue
        own = [payment for payment in history["payments"] if payment["lead"] == lead["id"] and payment["counted"]]
        paid = {payment["order"] for payment in own if payment["approved"]}
        qualified = lead["status"] in ("qualified", "scheduled", "customer") or paid
        waiting = [payment for payment in own if not payment["approved"] and payment["placed"] + timedelta(days=7) > histories.NOW]
        for index, count in enumerate([1, bool(qualified), bool(own), bool(paid), len(paid) > 1, len(waiting)]):
            result[index] += int(count)
    return result


def places(history):
    """[place, payments, cents] of the payments that were approved in the period, half an hour ago or earlier."""
    result = defaultdict(lambda: [0, 0])
    for payment in history["payments"]:
        at = payment["approved"]
        if not payment["counted"] or not at or not is_in_period(at) or at >= histories.NOW - timedelta(minutes=30):
            continue
        if payment["currency"] != "BRL":
            continue
        place = payment["conversion"]
        others = [other for other in history["payments"] if other["order"] == payment["order"] and other is not payment]
        if place == "duplicate" and any(other["conversion"] == "sent" for other in others):
            place = "other_payment"
        elif place in ("sent", "duplicate"):
            place = "accepted"
        result[place][0] += 1
        result[place][1] += payment["amount"]
    return [[place, *sums] for place, sums in result.items()]


def main():
    directory, seed = Path(sys.argv[1]), int(sys.argv[2])
    history = histories.generate(seed)
    directory.joinpath("spend.csv").write_text(histories.spend_csv(history), encoding="utf-8")
    for row in history["spend"]:
        row["channel"] = paid_name(row["channel"])
    today = local_day(histories.NOW)
    leads = {lead["id"]: lead for lead in history["leads"]}
    visitors = people(history["leads"])
    touches = defaultdict(list)
    names = defaultdict(set)
    for touch in history["touches"]:
        channel, campaign, paid = origin(touch["source"])
        touches[touch["visitor"]].append((touch["at"], channel, campaign, paid))

    def path_of(lead, until):
        if lead is None:
            return path([], until, False)
        return path([touch for visitor in visitors[lead] for touch in touches[visitor]], until, True)

    # A campaign that a touch calls by its name is the one of spend that alone is called so.
    for row in history["spend"]:
        if row["id"]:
            names[row["channel"], "name:" + row["name"].lower()].add(row["id"])

    def campaign_of(channel, campaign):
        ids = names.get((channel, campaign), ())
        return next(iter(ids)) if len(ids) == 1 else campaign

    orders = orders_of(history)
    buyer = customers_of(orders, history)
    first_orders = {}
    for order in orders:
        first_orders.setdefault(buyer[order["id"]], order)

    credits, daily = [], defaultdict(lambda: [0] * 10)
    SPEND, IMPRESSIONS, CLICKS, LEADS, QUALIFIED, ORDERS, NEW, GROSS, NET, FEE = range(10)
    brought = defaultdict(Fraction)  # (channel, campaign, order) -> share of a new customer
    of_ads = {model: [0, 0] for model in MODELS}  # net revenue and new customers that are credited to paid touches
    for order in orders:
        steps, day = path_of(order["lead"], order["placed"]), local_day(order["placed"])
        is_first = first_orders[buyer[order["id"]]] is order
        for model in MODELS:
            shares = weights(model, steps, order["placed"])
            rows = zip(steps, shares, split(MILLION, shares), split(order["gross"], shares), split(order["net"], shares),
                       split(order["fee"], shares))
            for position, ((at, channel, campaign, paid), share, part, gross, net, fee) in enumerate(rows, 1):
                if not share:
                    continue
                credits.append([order["id"], model, position, channel, campaign, part, gross, net, fee])
                if order["currency"] == "BRL":
                    of_ads[model][0] += net * paid
                    of_ads[model][1] += part * is_first * paid
                sums = daily[day, model, channel, campaign_of(channel, campaign), order["currency"]]
                for index, value in ((ORDERS, part), (NEW, part * is_first), (GROSS, gross), (NET, net), (FEE, fee)):
                    sums[index] += value
                if is_first and model == "linear" and paid and order["currency"] == "BRL":
                    brought[channel, campaign, order["id"]] += part
    bought = {payment["lead"] for payment in history["payments"] if payment["lead"]}
    for lead in history["leads"]:
        steps = path_of(lead["id"], lead["created"])
        qualified = lead["status"] in ("qualified", "scheduled", "customer")
        for model in MODELS:
            shares = weights(model, steps, lead["created"])
            for (at, channel, campaign, paid), share, part in zip(steps, shares, split(MILLION, shares)):
                if share:
                    sums = daily[local_day(lead["created"]), model, channel, campaign_of(channel, campaign), "BRL"]
                    sums[LEADS] += part
                    sums[QUALIFIED] += part * qualified
    for row in history["spend"]:
        for model in MODELS:
            sums = daily[row["day"], model, row["channel"], row["id"] or "name:" + row["name"].lower(), "BRL"]
            for index, value in ((SPEND, row["micros"]), (IMPRESSIONS, row["impressions"]), (CLICKS, row["clicks"])):
                sums[index] += value

    # ---- money by the day it came and went ----
    counted = {payment["id"] for payment in history["payments"] if payment["counted"]}
    revenue = defaultdict(lambda: [0, 0, 0])
    for movement in history["movements"]:
        if movement["payment"] in counted:
            sums = revenue[local_day(movement["at"]), movement["currency"]]
            sums[0] += movement["minor"] if movement["kind"] == "approval" else 0
            sums[1] += movement["minor"]
            sums[2] += movement["fee"]
    revenue = {key: sums for key, sums in revenue.items() if any(sums)}

    # ---- cohorts ----
    customers, profits, counts = defaultdict(int), defaultdict(int), defaultdict(int)
    for order in first_orders.values():
        customers[order["currency"], month_of(local_day(order["placed"]))] += 1
    by_age = defaultdict(lambda: [0, 0])
    for order in orders:
        first = first_orders[buyer[order["id"]]]
        cohort = month_of(local_day(first["placed"]))
        age = months_between(cohort, local_day(order["placed"]))
        profits[order["currency"], cohort, age] += order["net"] - order["fee"]
        counts[order["currency"], cohort, age] += 1
        by_age[first["id"], age][0] += order["net"]
        by_age[first["id"], age][1] += order["fee"]
    spent = defaultdict(int)
    for row in history["spend"]:
        spent["BRL", month_of(row["day"])] += row["micros"]
    cohorts = []
    for (currency, cohort), number in sorted(customers.items()):
        profit = 0
        for age in range(months_between(cohort, today) + 1):
            profit += profits[currency, cohort, age]
            lifetime = half_away(Fraction(profit, number))
            cohorts.append([currency, str(cohort), age, number, counts[currency, cohort, age], spent[currency, cohort], profit, lifetime])

    # ---- ratios ----
    roas, cac = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0])
    for (day, model, channel, campaign, currency), sums in daily.items():
        roas[day, model, channel, currency][0] += sums[NET]
        roas[day, model, channel, currency][1] += sums[SPEND]
        week = day - timedelta(days=day.weekday())
        cac[week, model, channel, campaign, currency][0] += sums[SPEND]
        cac[week, model, channel, campaign, currency][1] += sums[NEW]
    is_paid = {"meta", "google", "jornal_do_bairro", "whatsapp_ads"}
    payback = defaultdict(lambda: [Fraction(0), Fraction(0)])
    new_of = defaultdict(int)
    for (channel, campaign, order), part in brought.items():
        campaign = campaign_of(channel, campaign)
        new_of[channel, campaign] += int(part)
        for (first, age), (net, fee) in by_age.items():
            if first == order:
                payback[channel, campaign, age][0] += part * net / MILLION
                payback[channel, campaign, age][1] += part * fee / MILLION
    months = {}
    spend_of = defaultdict(int)
    for row in history["spend"]:
        spend_of[row["channel"], row["id"] or "name:" + row["name"].lower()] += row["micros"]
    for channel, campaign in new_of:
        total, month = 0, None
        for age in range(0, 24):
            net, fee = payback.get((channel, campaign, age), (0, 0))
            total += half_away(Fraction(net)) - half_away(Fraction(fee))
            if month is None and (channel, campaign, age) in payback and total * 10_000 >= spend_of[channel, campaign] > 0:
                month = age
        months[channel, campaign] = month

    # ---- what the page asks of the tables, and not of the views ----
    of_spend = {campaign for campaign, micros in spend_of.items() if micros}
    weeks = defaultdict(lambda: [0, 0])
    for (day, model, channel, campaign, currency), sums in daily.items():
        if model == "linear" and currency == "BRL" and (channel, campaign) in of_spend:
            week = weeks[day - timedelta(days=day.weekday()), channel, campaign]
            week[0] += sums[SPEND]
            week[1] += sums[NEW]
    ages, running = [], defaultdict(int)
    for channel, campaign, age in sorted(payback):
        net, fee = payback[channel, campaign, age]
        running[channel, campaign] += half_away(net) - half_away(fee)
        if (channel, campaign) in of_spend:
            ages.append([channel, campaign, age, new_of[channel, campaign], spend_of[channel, campaign], running[channel, campaign]])
    cohort_ages = [[str(cohort), age, number, spent[currency, cohort], profits[currency, cohort, age]]
                   for (currency, cohort), number in customers.items() if currency == "BRL"
                   for age in range(months_between(cohort, today) + 1)]

    expected = dict(
        weeks=[[str(week), channel, campaign, *sums] for (week, channel, campaign), sums in weeks.items()],
        ages=ages,
        cohort_ages=cohort_ages,
        funnel=[funnel(history)],
        places=places(history),
        credits=sorted(credits),
        of_ads=[[model, *sums] for model, sums in of_ads.items()],
        daily=sorted([str(day), model, channel, campaign, currency, *sums]
                     for (day, model, channel, campaign, currency), sums in daily.items()),
        revenue=sorted([str(day), currency, *sums] for (day, currency), sums in revenue.items()),
        cohorts=cohorts,
        roas=sorted([str(day), model, channel, currency, net, micros,
                     None if not micros else f"{net * 10_000 / micros:.6f}"]
                    for (day, model, channel, currency), (net, micros) in roas.items()),
        cac=sorted([str(week), model, channel, campaign, currency,
                    None if not new else half_away(Fraction(micros * 100, new))]
                   for (week, model, channel, campaign, currency), (micros, new) in cac.items() if channel in is_paid),
        payback=sorted([channel, campaign, new_of[channel, campaign], months[channel, campaign]]
                       for channel, campaign in new_of if spend_of[channel, campaign]),
        forecast=[[currency, *row] for currency in ("BRL", "USD") for row in forecast.months(
            {day: sums[1] for (day, of), sums in revenue.items() if of == currency}, today)],
        totals=[len(orders), sum(o["gross"] for o in orders), sum(o["net"] for o in orders)],
    )
    directory.joinpath("history.sql").write_text(histories.sql(history, DATASET), encoding="utf-8")
    directory.joinpath("expected.json").write_text(json.dumps(expected), encoding="utf-8")


if __name__ == "__main__":
    main()
