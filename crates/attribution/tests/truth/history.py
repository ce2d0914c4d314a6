"""A year of a shop, from a seed: people, their touches, orders, money and spend. Prints nothing; see `truth.py`."""

import random
from datetime import datetime, timedelta, timezone

NOW = datetime(2026, 11, 28, 15, 0, tzinfo=timezone.utc)
UTC = timezone.utc

# (channel as the gateway infers it, utm_source, utm_medium, utm_campaign, utm_id, click id)
SOURCES = [
    ("paid_social", "ig", "paid_social", "Clareamento Verão", "120210000000000017", "fbclid"),
    ("paid_social", "facebook", "cpc", "Implantes", "120210000000000018", "fbclid"),
    ("organic_social", None, None, None, "120210000000000018", "fbclid"),
    ("organic_social", "ig", None, None, None, "fbclid"),
    ("paid_search", "google", "cpc", "Busca MARCA", None, "gclid"),
    ("paid_search", "google", "cpc", "Busca Genérica", "700002", "gclid"),
    ("paid_search", "google", "cpc", "Sem gasto", None, "wbraid"),
    ("paid_other", "Jornal do Bairro", "ppc", "Anúncio", None, None),
    # One is paid for and the other is not, and both say whatsapp.
    ("paid_other", "whatsapp", "cpc", "Lista", None, None),
    ("whatsapp", "whatsapp", "social", "Lista", None, None),
    ("email", "rd", "email", "novembro", None, None),
    ("organic_search", None, "organic", None, None, None),
    ("direct", None, None, None, None, None),
    ("direct", None, None, None, None, None),
]
# (channel, account, campaign id, name, mean spend of a day in micros)
CAMPAIGNS = [
    ("meta", "act_1", "120210000000000017", "Clareamento Verão", 90_000_000),
    ("meta", "act_1", "120210000000000018", "Implantes", 140_000_000),
    ("google", "123", "700001", "Busca Marca", 30_123_457),
    ("google", "123", "700002", "Busca Genérica", 60_000_001),
    ("jornal_do_bairro", "", "", "Anúncio", 15_000_000),
    ("whatsapp", "", "", "Lista", 5_000_000),
]
CONVERSIONS = ["sent", "sent", "sent", "duplicate", "withheld", "too_old", "invalid", "none"]


def generate(seed):
    """Leads, touches, payments with their movements, and spend, as lists of dicts."""
    rng = random.Random(seed)
    key = lambda: rng.randbytes(32)
    leads, touches, payments, movements = [], [], [], []
    start = NOW - timedelta(days=330)
    moment = lambda a, b: a + timedelta(milliseconds=rng.randrange(1, max(2, int((b - a) / timedelta(milliseconds=1)))))
    payment_number = 5_000_000

    def touch_some(visitor, until, most):
        for _ in range(rng.randrange(most)):
            at = until - timedelta(milliseconds=rng.randrange(45 * 86_400_000))
            source = rng.choice(SOURCES)
            touches.append(dict(visitor=visitor, at=at, source=source))
            # A page that is opened again within minutes, and at exactly half an hour.
            if rng.random() < 0.3:
                gap = rng.choice([timedelta(minutes=5), timedelta(minutes=30), timedelta(minutes=31)])
                if at + gap < until:
                    touches.append(dict(visitor=visitor, at=at + gap, source=source))

    def pay(order, placed, lead, email, cpf=None, currency="BRL"):
        nonlocal payment_number
        payment_number += 1
        number = str(payment_number)
        amount = rng.choice([9_990, 10_000, 19_990, 33_333, 100_001, 250_000])
        counted = rng.random() > 0.03
        wait = timedelta(seconds=rng.randrange(5, 90)) if rng.random() < 0.6 else timedelta(hours=rng.randrange(20, 100))
        approved = placed + wait
        is_paid = rng.random() < 0.85 and approved < NOW
        payments.append(dict(
            id=number, order=order, placed=placed, lead=lead["id"] if lead else None, email=email, cpf=cpf, amount=amount,
            approved=approved if is_paid else None, counted=counted, currency=currency))
        if not is_paid:
            return
        fee = amount * 499 // 10_000
        book = lambda name, kind, minor, fee, at: movements.append(
            dict(payment=number, key=name, kind=kind, minor=minor, fee=fee, at=at, currency=currency))
        book("approval", "approval", amount, fee, approved)
        left = amount
        for refund in range(rng.choice([0, 0, 0, 0, 1, 2])):
            part = left if rng.random() < 0.3 else rng.randrange(1, left)
            at = approved + timedelta(hours=rng.randrange(1, 900))
            if at < NOW and part:
                left -= part
                book(f"refund:{refund}", "refund", -part, 0, at)
            if not left:
                break
        if left and rng.random() < 0.04:
            at = approved + timedelta(days=rng.randrange(1, 30))
            if at < NOW:
                book("chargeback:1", "chargeback", -left, 0, at)
                if rng.random() < 0.5 and at + timedelta(days=3) < NOW:
                    book("reimbursement:1", "reimbursement", left, 0, at + timedelta(days=3))
        if rng.random() < 0.05:
            book("fee:1", "fee", 0, -rng.randrange(1, 50), approved + timedelta(minutes=1))

    order_number = 1_000
    for person in range(180):
        email, phone, visitor = key(), key(), key()
        created = moment(start, NOW - timedelta(hours=2))
        lead = dict(id=10_000 + person * 10, email=email, phone=phone, visitor=visitor, created=created,
                    status=rng.choice(["new", "new", "qualified", "scheduled", "lost"]))
        leads.append(lead)
        touch_some(visitor, created, 9)
        if rng.random() < 0.15:
            # The same person on another device.
            other = dict(lead, id=lead["id"] + 1, visitor=key(), phone=None, created=moment(created, NOW), status="new")
            leads.append(other)
            touch_some(other["visitor"], other["created"], 6)
        placed = created
        for _ in range(rng.choice([0, 0, 1, 1, 1, 2, 4])):
            placed = placed + timedelta(milliseconds=rng.randrange(60_000, 60 * 86_400_000))
            if placed > NOW:
                break
            touch_some(visitor, placed, 4)
            order_number += 1
            known = rng.random() < 0.9
            payer = email if rng.random() < 0.8 else None
            pay(f"pedido-{order_number}", placed, lead if known else None, payer)
            if rng.random() < 0.08:
                # Tried again: two payments of one order.
                pay(f"pedido-{order_number}", placed + timedelta(minutes=9), lead if known else None, payer)
    # Somebody whose e-mail is an office's: too many leads share it to be one person's.
    office = key()
    for person in range(7):
        visitor, created = key(), moment(start, NOW)
        lead = dict(id=90_000 + person, email=office, phone=key(), visitor=visitor, created=created, status="new")
        leads.append(lead)
        touch_some(visitor, created, 5)
        order_number += 1
        pay(f"pedido-{order_number}", moment(created, NOW), lead, None)
    # Buyers abroad, who pay in dollars: sums of two currencies are never one.
    for person in range(25):
        email, visitor, created = key(), key(), moment(start, NOW - timedelta(days=40))
        lead = dict(id=92_000 + person, email=email, phone=key(), visitor=visitor, created=created, status="new")
        leads.append(lead)
        touch_some(visitor, created, 6)
        placed = created
        for _ in range(rng.randrange(1, 4)):
            order_number += 1
            pay(f"pedido-{order_number}", placed, lead, email, currency="USD")
            placed = placed + timedelta(milliseconds=rng.randrange(60_000, 40 * 86_400_000))
            if placed > NOW:
                break
    # A tablet on the counter: one visitor, many people.
    tablet = key()
    for person in range(7):
        created = moment(start, NOW)
        lead = dict(id=91_000 + person, email=key(), phone=key(), visitor=tablet, created=created, status="new")
        leads.append(lead)
        order_number += 1
        pay(f"pedido-{order_number}", moment(created, NOW), lead, None)
    # The shop charges with its own e-mail: only the CPF says who paid. The first of them comes back.
    shop = key()
    for cpf in [first := key()] + [key() for _ in range(6)] + [first]:
        order_number += 1
        pay(f"pedido-{order_number}", moment(start, NOW), None, shop, cpf)

    spend = []
    for day in range(330):
        for channel, account, campaign, name, mean in CAMPAIGNS:
            if rng.random() < 0.95:
                micros = int(mean * rng.uniform(0.5, 1.5))
                spend.append(dict(
                    channel=channel, account=account, day=(start + timedelta(days=day)).date(), id=campaign, name=name,
                    micros=micros, impressions=micros // 20_000, clicks=micros // 900_000,
                    claimed=micros * 4 if channel == "meta" else None))
    # What became of each one's Purchase, by other draws than the rest.
    fates = random.Random(-seed)
    for payment in payments:
        payment["conversion"] = fates.choice(CONVERSIONS) if payment["approved"] else "none"
    unique = {(touch["visitor"], touch["at"]): touch for touch in touches}
    return dict(leads=leads, touches=list(unique.values()), payments=payments, movements=movements, spend=spend)


def sql(history, dataset):
    """The same as statements, as the gateway and the payments' half would have stored it."""
    out = []
    text = lambda value: "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"
    hmac = lambda value: "NULL" if value is None else f"'\\x{value.hex()}'"
    at = lambda value: "NULL" if value is None else f"'{value.isoformat()}'"

    def insert(table, columns, rows):
        for start in range(0, len(rows), 500):
            values = ",\n".join("(" + ", ".join(row) + ")" for row in rows[start:start + 500])
            out.append(f"INSERT INTO {table} ({columns}) VALUES\n{values};")

    uuid = "'00000000-0000-7000-8000-000000000000'"
    insert("leads", "dataset_id, lead_id, status, contact, email_hmac, phone_hmac, visitor_hmac, ads_refused, event_day, event_id,"
           " request_id, created_at, updated_at", [
               [str(dataset), str(lead["id"]), text(lead["status"]), "''", hmac(lead["email"]), hmac(lead["phone"]),
                hmac(lead["visitor"]), "false", f"'{lead['created'].date()}'", text(lead["id"]), uuid, at(lead["created"]),
                at(lead["created"])] for lead in history["leads"]])
    rows = []
    for touch in history["touches"]:
        channel, source, medium, campaign, campaign_id, click = touch["source"]
        clicks = [text("c1") if click == name else "NULL" for name in ("fbclid", "gclid", "wbraid")]
        rows.append([str(dataset), hmac(touch["visitor"]), at(touch["at"]), text(channel), text(source), text(medium),
                     text(campaign), text(campaign_id), *clicks, at(touch["at"])])
    insert("touchpoints", "dataset_id, visitor_hmac, touched_at, channel, utm_source, utm_medium, utm_campaign, utm_id, fbclid, gclid,"
           " wbraid, created_at", rows)
    insert("payments", "dataset_id, payment_id, account_id, status, status_detail, books, operation_type, currency, amount_minor,"
           " refunded_minor, payment_method, payment_type, order_id, lead_id, match_method, match_confidence, payer_email_hmac, payer_cpf_hmac,"
           " created_at, approved_at, updated_at, discovered_by, first_seen_at, read_at, conversion", [
               [str(dataset), text(pay["id"]), "44444", text("approved" if pay["approved"] else "pending"), "''",
                text("counted" if pay["counted"] else "test_mode"), "'regular_payment'", text(pay["currency"]), str(pay["amount"]), "0",
                "'pix'", "'bank_transfer'", text(pay["order"]), str(pay["lead"]) if pay["lead"] else "NULL",
                "'lead_id'" if pay["lead"] else "NULL", "100" if pay["lead"] else "NULL", hmac(pay["email"]), hmac(pay["cpf"]),
                at(pay["placed"]), at(pay["approved"]), at(pay["placed"]), "'webhook'", at(pay["placed"]), at(pay["placed"]),
                text(pay["conversion"])]
               for pay in history["payments"]])
    insert("purchase_movements", "dataset_id, payment_id, movement_key, kind, amount_minor, fee_minor, currency, occurred_at,"
           " recorded_at", [
               [str(dataset), text(move["payment"]), text(move["key"]), text(move["kind"]), str(move["minor"]), str(move["fee"]),
                text(move["currency"]), at(move["at"]), at(move["at"])] for move in history["movements"]])
    return "\n".join(out)


def spend_csv(history):
    """The spend as a file in our own format."""
    lines = ["date,channel,account_id,campaign_id,campaign_name,spend,currency,impressions,clicks"]
    for row in history["spend"]:
        amount = f"{row['micros'] // 1_000_000}.{row['micros'] % 1_000_000:06}"
        lines.append(f"{row['day']},{row['channel']},{row['account']},{row['id']},{row['name']},{amount},BRL,"
                     f"{row['impressions']},{row['clicks']}")
    return "\n".join(lines) + "\n"
