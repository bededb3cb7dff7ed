"""Orders that keep the house: parties, their keys, the policy, calendars, rates, the ledger itself, and contracts."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, get_args

import msgspec

import reference
from book import create_ledger, new_key
from finchain import instructions as do
from finchain.domain.founding import LedgerRecord
from finchain.domain.holiday import Calendar
from finchain.domain.key import Duty, PartyKey, can_sign
from finchain.domain.late import ReferenceRate
from finchain.domain.party import Party, Role
from finchain.domain.rulebook import RULEBOOK_1
from finchain.domain.trade import Contract, EvidenceForm
from orders import Choices, Town, at_any_time, order

HOUSE = ("operator",)
"""Who founded the ledger and is its first registrar as well: the signature of both."""

DUTIES: tuple[Duty, ...] = get_args(Duty)
BUSINESS: tuple[Role, ...] = (
    "supplier", "debtor", "guarantor", "lender", "factor", "controller", "settlement_bank", "arbiter",
)  # fmt: skip
RULEBOOKS = tuple(RULEBOOK_1.extended(number) for number in (2, 3, 4))
"""Those that may follow the first: its rules under other numbers."""

PARTIES_MAX, KEYS_MAX, VERSIONS_MAX, CONTRACTS_MAX = 16, 4, 4, 6
"""So few that an order meets what others have left."""


# --- parties and keys
@order(do.RegisterParty, lambda town: () if len(town.all(Party)) >= PARTIES_MAX else (None,))
def register_party(town: Town, _: Any, choose: Choices) -> Any:
    id = town.new_id("party")
    duties: list[Duty] = ["any", *(choose.one(DUTIES) for _ in range(choose.number(0, 2)))]
    keys = [new_key(f"{id}/{n}", f"Ms {n}", duty, ledger=town.ledger.ledger) for n, duty in enumerate(duties, 1)]
    roles: list[Role] = sorted({choose.one(BUSINESS), choose.one(BUSINESS)})
    return do.RegisterParty(id, f"{id} Ltd", roles, 1, keys), ["registrar"]


@order(do.SetRoles)
def set_roles(town: Town, _: Any, choose: Choices) -> Any:
    """One role more; those that a party has stay, or its contracts would stand still."""
    party = town.get(Party, choose.one(town.having()))
    return do.SetRoles(party.id, sorted({*party.roles, choose.one(BUSINESS)})), ["registrar"]


def able(town: Town) -> list[Party]:
    """Parties of which so many keys are left that they can act."""
    return town.kept(_able)


def _able(town: Town) -> list[Party]:
    return [party for party in town.all(Party) if can_sign(party.threshold, town.live_keys(party.id))]


@order(do.SetThreshold, able)
def set_threshold(town: Town, party: Party, choose: Choices) -> Any:
    highest = max(n for n in (1, 2) if can_sign(n, town.live_keys(party.id)))
    return do.SetThreshold(party.id, choose.number(1, highest)), [party.id]


@order(do.AddKey, lambda town: [party for party in town.all(Party) if len(party.live) < KEYS_MAX])
def add_key(town: Town, party: Party, choose: Choices) -> Any:
    id = f"{party.id}/{party.keys + 1}"
    new = new_key(id, choose.one(("Ms 1", "Ms 2", "Mr 3")), choose.one(DUTIES), ledger=town.ledger.ledger)
    by = party.id if town.can_sign(party.id) else "registrar"
    assert isinstance(new.possession, str)
    return do.AddKey(id, new.holder, new.duty, new.suite, new.public_key, new.possession), [by]


def live_keys(town: Town) -> list[PartyKey]:
    return [key for party in able(town) for key in town.live_keys(party.id)]


@order(do.RotateKey, live_keys)
def rotate_key(town: Town, key: PartyKey, choose: Choices) -> Any:
    id = f"{key.party}/{town.get(Party, key.party).keys + 1}"
    new = new_key(id, key.holder, key.duty, ledger=town.ledger.ledger)
    assert isinstance(new.possession, str)
    return do.RotateKey(key.id, id, new.suite, new.public_key, new.possession), [key.party]


def keys_to_spare(town: Town) -> list[PartyKey]:
    """Live keys without which their party can still act."""
    spare = []
    for party in able(town):
        keys = town.live_keys(party.id)
        spare += [key for key in keys if can_sign(party.threshold, [each for each in keys if each is not key])]
    return spare


@order(do.EndKey, keys_to_spare)
def end_key(town: Town, key: PartyKey, choose: Choices) -> Any:
    return do.EndKey(key.id, choose.perhaps(town.today)), [choose.one((key.party, "registrar"))]


# --- what holds for all
@order(do.SetPolicy)
def set_policy(town: Town, _: Any, choose: Choices) -> Any:
    terms = msgspec.structs.replace(
        town.terms, back_days=choose.number(3, 12), cooling_days=choose.number(0, 3), cut_off_days=choose.number(0, 2),
        dishonour_days=choose.number(0, 3), min_lot_minor=choose.number(1, 20), offer_days=choose.number(4, 12),
        payment_expiry_days=choose.number(2, 8),
    )  # fmt: skip
    return do.SetPolicy(terms), HOUSE


@order(do.SetCapacity)
def set_capacity(town: Town, _: Any, choose: Choices) -> Any:
    """Limits that few promises meet, or orders would be refused that others count on."""
    leverage = do.Leverage(choose.one((100_000, 1_000_000)), choose.number(10, 15), choose.number(5_000, 10_000))
    limits = do.SetCapacity(
        choose.one(town.having()), "CNY", town.paper(), choose.perhaps(choose.one((100_000, 1_000_000))),
        choose.perhaps(leverage),
    )  # fmt: skip
    return limits, HOUSE


def calendars(town: Town) -> list[tuple[str, int]]:
    """Names, with the version that is the newest."""
    versions = dict.fromkeys(("CN", "HK"), 0) | {each.id: each.version for each in town.all(Calendar)}
    return [(id, version) for id, version in versions.items() if version < VERSIONS_MAX]


@order(do.SetCalendar, calendars)
def set_calendar(town: Town, newest: tuple[str, int], choose: Choices) -> Any:
    id, version = newest
    year = town.today.year + choose.number(0, 1)
    weekdays = [day for day in (date(year, 3, n) for n in range(1, 32)) if day.isoweekday() < 6]
    holidays = sorted({choose.one(weekdays), choose.one(weekdays)})
    return do.SetCalendar(id, version + 1, year, [6, 7], holidays, [], town.paper()), HOUSE


def rates(town: Town) -> list[str]:
    """Names of rates that were not changed today."""
    changed = {rate.id for rate in town.all(ReferenceRate) if rate.steps[-1].since >= town.today}
    return [name for name in ("LPR1Y", "LPR5Y") if name not in changed]


@order(do.SetReferenceRate, rates)
def set_reference_rate(town: Town, name: str, choose: Choices) -> Any:
    return do.SetReferenceRate(name, town.today, do.Rate(choose.number(100, 400), 10_000)), HOUSE


@order(do.SetCheckpointKeys)
def set_checkpoint_keys(town: Town, _: Any, choose: Choices) -> Any:
    ledger = town.get(LedgerRecord, "ledger")
    another = reference.verifier_key(ledger.origin, bytes([choose.number(0, 255), *range(31)]))
    first, *_ = ledger.checkpoint_keys
    return do.SetCheckpointKeys([first, another]), ["operator"]


def rulebooks_to_come(town: Town) -> list[Any]:
    return [each for each in RULEBOOKS if each.number > town.get(LedgerRecord, "ledger").rulebook]


@order(do.ActivateRulebook, rulebooks_to_come)
def activate_rulebook(town: Town, rulebook: Any, choose: Choices) -> Any:
    return do.ActivateRulebook(rulebook.number, rulebook.digest), HOUSE


@order(do.CreateLedger)
def create_ledger_again(town: Town, _: Any, choose: Choices) -> Any:
    """A ledger is founded once, in block 0; every other time is refused."""
    return create_ledger(origin=town.get(LedgerRecord, "ledger").origin), HOUSE


# --- contracts
@order(do.SignContract, lambda town: () if len(town.all(Contract)) >= CONTRACTS_MAX else at_any_time(town))
def sign_contract(town: Town, _: Any, choose: Choices) -> Any:
    seller = choose.one(town.having("supplier"))
    buyer = choose.one(town.having("debtor", but=[seller]))
    signed = town.today - timedelta(days=choose.number(0, 3))
    contract = do.SignContract(
        town.new_id("contract"), seller, buyer, town.paper(), choose.number(1, 5_000), "CNY", signed
    )  # fmt: skip
    return contract, [seller, buyer]


@order(do.LodgeEvidence, lambda town: town.all(Contract))
def lodge_evidence(town: Town, contract: Contract, choose: Choices) -> Any:
    by = choose.one((contract.seller, contract.buyer, "carrier"))
    form = choose.one(get_args(EvidenceForm))
    return do.LodgeEvidence(town.new_id("evidence"), contract.id, form, town.paper(), by), [by]
