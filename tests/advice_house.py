"""Advice of the ledger's own house that somebody follows first: its founding, parties, keys, calendars and rates."""

from __future__ import annotations

from datetime import date, timedelta

from advising import advised, said, story
from book import LEDGER, MemoryBook, create_ledger, digest, new_key, new_ledger, public_key
from finchain import instructions as do
from finchain.domain.late import STEPS_MAX
from finchain.domain.party import LIVE_KEYS_MAX
from finchain.domain.rule import Absent, Instruction
from finchain.keys import Holder, Key, enrolment_key
from stories import apply, but

HOUSE = {"operator", "registrar"}


def founded_instead(by: set[str] = HOUSE, **wrong: object) -> str:
    """What is advised where block 0 states something wrong; without that it is applied."""
    return advised(MemoryBook(), but(create_ledger(), **wrong), by, instead=create_ledger())


@story("founding: state up to ‹› minutes either way")
def _() -> str:
    return founded_instead(time_zone_minutes=841)


@story("founding: state the origin, #, and the hash of block 0 in hex")
def _() -> str:
    return founded_instead(predecessor=do.Predecessor("old", 1, digest("old")))


@story("founding: take another origin: witnesses know a log by it, and would see a fork")
def _() -> str:
    before = do.Predecessor(f"{create_ledger().origin}#{digest('old')}", 1, digest("old"))
    return advised(MemoryBook(), but(create_ledger(), predecessor=before), HOUSE,
                   instead=but(create_ledger(origin="another.example"), predecessor=before))  # fmt: skip


@story("founding: state ‹›+<key id>+<Base64 of an Ed25519 or ML-DSA-44 key>; `finchain key show` has it")
def _() -> str:
    return founded_instead(checkpoint_keys=["a key"])


@story("founding: let ‹› sign block 0")
def _() -> str:
    ledger = MemoryBook()
    advice = said(ledger, create_ledger(), {"operator"})
    ledger.apply(create_ledger(), by=HOUSE)
    return advice


@story("key: use 1 to ‹› printable ASCII characters")
def _() -> str:
    ledger = new_ledger()
    signer = Key.generate("sm2", identity="CN=Wei")
    offered = enrolment_key(LEDGER, "yard/1", Holder(signer, "Wei"))
    order = do.RegisterParty("yard", "The yard", ["supplier"], 1, [offered])
    return advised(ledger, but(order, keys=[but(offered, identity="Wéi")]), {"registrar"}, instead=order)


# --- calendars
YEAR = do.SetCalendar("cn", 1, 2026, [6, 7], [date(2026, 10, 1)], [date(2026, 10, 10)], digest("decree"))


@story("holiday: state days from 1 for Monday to 7 for Sunday, rising, at most 6")
def _() -> str:
    return advised(new_ledger(), but(YEAR, weekend=[7, 6]), HOUSE, instead=YEAR)


@story("holiday: state days of the year, each once, rising: holidays off the weekend, workdays on it")
def _() -> str:
    return advised(new_ledger(), but(YEAR, holidays=[date(2026, 10, 3)]), HOUSE, instead=YEAR)


@story("holiday: leave a business day in every ‹› days")
def _() -> str:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    closed = [day for day in days if day.isoweekday() < 6]
    return advised(new_ledger(), but(YEAR, holidays=closed), HOUSE, instead=YEAR)


# --- parties and keys
REGISTRAR = {"registrar"}
SHOP = do.RegisterParty("shop", "Shop Ltd", ["supplier"], 1, [new_key("shop/1", "Ms Chen")])


def added(key_id: str, name: str | None = None) -> do.AddKey:
    key = new_key(key_id, f"holder of {key_id}", name=name)
    assert key.possession is not Absent
    return do.AddKey(key_id, key.holder, key.duty, key.suite, key.public_key, key.possession)


def registered() -> MemoryBook:
    ledger = new_ledger()
    apply(ledger, SHOP, by=REGISTRAR)
    return ledger


@story("party: declare 1 to ‹›")
def _() -> str:
    return advised(new_ledger(), but(SHOP, keys=[]), REGISTRAR, instead=SHOP)


@story("party: end one first; ‹› are the most")
def _() -> str:
    ledger = registered()
    for number in range(2, LIVE_KEYS_MAX + 1):
        apply(ledger, added(f"shop/{number}"), by={"shop"})
    return advised(ledger, added(f"shop/{LIVE_KEYS_MAX + 1}"), {"shop"}, (do.EndKey("shop/1"), {"shop"}))


@story("party: rotate the key, add another first, or ask a registrar")
def _() -> str:
    return advised(registered(), do.EndKey("shop/1"), {"shop"}, (added("shop/2"), {"shop"}))


@story("party: leave the role operator as it is")
def _() -> str:
    roles: Instruction = do.SetRoles("shop", ["supplier", "operator"])
    return advised(registered(), roles, HOUSE, instead=but(roles, roles=["supplier", "debtor"]))


@story("party: register another party for it")
def _() -> str:
    roles: Instruction = do.SetRoles("operator", ["operator", "supplier"])
    return advised(new_ledger(), roles, HOUSE, instead=SHOP)


@story("key: let the holder make a key of their own")
def _() -> str:
    ledger = registered()
    first = SHOP.keys[0].public_key
    return advised(ledger, but(added("shop/2"), public_key=first), {"shop"}, instead=added("shop/2"))


@story("key: sign ‹›")
def _() -> str:
    wrong = but(added("shop/2"), possession=added("shop/3").possession)
    return advised(registered(), wrong, {"shop"}, instead=added("shop/2"))


@story("key: let the key sign the enrolment message")
def _() -> str:
    keys = [but(SHOP.keys[0], possession=Absent)]
    return advised(new_ledger(), but(SHOP, keys=keys), REGISTRAR, instead=SHOP)


@story("key: encode by RFC 4648 section 4, padded")
def _() -> str:
    unpadded = public_key("any").rstrip("=")
    return advised(registered(), but(added("shop/2"), public_key=unpadded), {"shop"}, instead=added("shop/2"))


# --- rates that others refer to
RATE = do.SetReferenceRate("LPR", date(2026, 1, 1), do.Rate(3, 100))


def with_rate() -> MemoryBook:
    ledger = new_ledger()
    ledger.register("shop", "supplier")
    ledger.register("core", "debtor")
    apply(ledger, RATE, by=HOUSE)
    return ledger


LATE = do.LateTerms(do.Rate(3, 100), "act/360", "LPR")
SUBMIT = do.SubmitReceivable("R", "shop", "core", 10, "CNY", date(2026, 8, 31), "INV-7", late=LATE)


@story("late: agree on ‹› or more")
def _() -> str:
    return advised(with_rate(), but(SUBMIT, late=but(LATE, rate=do.Rate(2, 100))), {"shop"}, instead=SUBMIT)


@story("late: state rate, day_count and floor, or nothing for the rate of the law")
def _() -> str:
    return advised(with_rate(), but(SUBMIT, late=but(LATE, floor=Absent)), {"shop"}, instead=SUBMIT)


@story("late: go on under another name")
def _() -> str:
    ledger = with_rate()
    for number in range(1, STEPS_MAX):
        apply(ledger, but(RATE, since=RATE.since + timedelta(days=number)), by=HOUSE)
        ledger.advance(1)
    more = but(RATE, since=ledger.today)
    return advised(ledger, more, HOUSE, instead=but(more, id="LPR-2"))
