"""What must be in the books of payments, computed a second time: slowly, in plain Python, from definitions.

    python3 movements.py SEED

prints {"reads": [...], "books": [...]}: payments as they were read, one after the other, and the movements that must be booked of them.
Written from the definitions alone; it shares nothing with the Rust code. What happened to each payment is made up first, as
movements; where every state of a payment was read in its order, its books are exactly those.

The definitions: + amount at the approval; - a refund at its own time; - what is left when it is charged back, + that when the case is won;
what no list explains is an adjustment. Only states that are not older than the last one count. A period's revenue is the sum of its
movements, so that nothing booked is ever changed.
"""

import json
import random
import sys
from datetime import datetime, timedelta, timezone

BEGIN = datetime(2026, 3, 1, tzinfo=timezone.utc)
EVER_PAID = ("approved", "in_mediation", "refunded", "charged_back")


def life(rng, number):
    """A payment's states, oldest first, and what happened to its money: [(kind, amount, fee, when)]."""
    now = BEGIN + timedelta(seconds=rng.randrange(200 * 86_400))
    amount = rng.choice([100, 9_990, 33_333, 250_001])
    state = dict(id=str(number), status="pending", detail="pending_waiting_transfer", amount=amount, refunded=0, refunds=[], fee=None,
                 created=now, approved=None, updated=now)
    states, happened = [], []

    def becomes(**changes):
        nonlocal now
        now += timedelta(milliseconds=rng.randrange(1, 9 * 86_400_000))
        state.update(changes, updated=now)
        states.append(dict(state, refunds=list(state["refunds"])))

    def give_back(part):
        """A refund, which one in eight times is in the total alone."""
        nonlocal now
        now += timedelta(milliseconds=rng.randrange(1, 9 * 86_400_000))
        is_listed = rng.random() > 0.125
        if is_listed:
            state["refunds"].append(dict(id=f"{number}{len(states)}", amount=part, at=now))
        at, refunded = now, state["refunded"] + part
        is_all = refunded == state["amount"]
        becomes(refunded=refunded, status="refunded" if is_all else "approved", detail="refunded" if is_all else "partially_refunded")
        happened.append(("refund", -part, 0, at) if is_listed else ("adjustment", -part, 0, now))

    states.append(dict(state, refunds=[]))
    if rng.random() < 0.2:
        becomes(status="authorized", detail="pending_capture")
        if rng.random() < 0.5:  # less of it is captured
            state["amount"] -= rng.randrange(1, amount)
    if rng.random() < 0.15:
        becomes(status=rng.choice(["cancelled", "rejected"]), detail="expired")
        return states, happened
    fee = state["amount"] * 499 // 10_000
    approved = now + timedelta(milliseconds=rng.randrange(1, 90_000))
    state["approved"] = approved
    now = approved
    becomes(status="approved", detail="accredited", fee=fee)
    happened.append(("approval", state["amount"], fee, approved))
    for _ in range(rng.randrange(4)):
        left = state["amount"] - state["refunded"]
        chance = rng.random()
        if chance < 0.2:
            fee += rng.choice([-1, 1, 7])
            change = fee - state["fee"]
            becomes(fee=fee)
            happened.append(("fee", 0, change, now))
        elif chance < 0.3:
            before = dict(status=state["status"], detail=state["detail"])
            becomes(status="in_mediation", detail="accredited")
            becomes(**before)
        elif chance < 0.8 and left:
            give_back(left if left == 1 or rng.random() < 0.3 else rng.randrange(1, left))
        elif left:
            becomes(status="charged_back", detail="in_process")
            happened.append(("chargeback", -left, 0, now))
            if rng.random() < 0.5:
                becomes(detail="reimbursed")
                happened.append(("reimbursement", left, 0, now))
            else:
                becomes(detail="settled")
            break
        if state["status"] == "refunded":
            break
    return states, happened


def revenue(state):
    """What of a payment is revenue in this state."""
    is_ours = state["status"] in ("approved", "in_mediation") or (state["status"], state["detail"]) == ("charged_back", "reimbursed")
    return state["amount"] - state["refunded"] if is_ours else 0


def books(reads):
    """key -> (kind, amount, fee, when), of one payment that was read in these states."""
    rows, newest = {}, None

    def book(kind, amount, fee, at, name=None):
        number = sum(row[0] == kind for row in rows.values()) + 1
        rows.setdefault(name or f"{kind}:{number}", (kind, amount, fee, at))

    for state in reads:
        if newest is not None and state["updated"] < newest:
            continue
        newest = state["updated"]
        if state["status"] in EVER_PAID:
            book("approval", state["amount"], state["fee"], state["approved"], "approval")
        if not rows:
            continue
        for refund in state["refunds"]:
            book("refund", -refund["amount"], 0, refund["at"], "refund:" + refund["id"])
        missing = revenue(state) - sum(amount for _, amount, _, _ in rows.values())
        if missing < 0 and state["status"] == "charged_back" and state["detail"] != "reimbursed":
            book("chargeback", missing, 0, newest)
        elif missing > 0 and any(row[0] == "chargeback" for row in rows.values()):
            book("reimbursement", missing, 0, newest)
        elif missing:
            book("adjustment", missing, 0, newest)
        change = state["fee"] - sum(fee for _, _, fee, _ in rows.values())
        if change:
            book("fee", 0, change, newest)
    return rows


def main():
    rng = random.Random(int(sys.argv[1]))
    reads, booked, kinds = [], [], set()
    for number in range(1_000, 1_150):
        states, happened = life(rng, number)
        order = list(range(len(states)))
        if number % 3 == 0:
            assert sorted(books(states).values()) == sorted(happened), (states, happened)
        else:  # some are never read, some twice, some late
            order = sorted(order + order, key=lambda place: place + rng.choice([0, 0, 0.5, 2]))
            order = [place for place in order if rng.random() < 0.6] or order
        read = [states[place] for place in order]
        reads += read
        rows = books(read)
        # Whatever was missed on the way, the books end where the newest state that was read is.
        newest = max(read, key=lambda state: state["updated"])
        assert sum(row[1] for row in rows.values()) == (revenue(newest) if rows else 0)
        kinds |= {row[0] for row in rows.values()}
        booked += [[str(number), key, kind, amount, fee, milliseconds(at)] for key, (kind, amount, fee, at) in rows.items()]
    assert kinds == {"approval", "refund", "chargeback", "reimbursement", "adjustment", "fee"}, kinds
    print(json.dumps(dict(reads=[plain(state) for state in reads], books=booked)))


def milliseconds(moment):
    return round((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(milliseconds=1))


def plain(state):
    moment = lambda at: None if at is None else milliseconds(at)
    refunds = [dict(refund, at=moment(refund["at"])) for refund in state["refunds"]]
    times = {name: moment(state[name]) for name in ("created", "approved", "updated")}
    return dict(state, refunds=refunds, **times)


if __name__ == "__main__":
    main()
