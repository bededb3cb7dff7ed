"""The past of whatever was done: stories cover every unit, and all money is where it went, to the minor unit.

What is asked of holdings and traces here is asked at the end of every story that other tests tell of guarantees, loans
and lots, and of the deals that the machines of `test_state_machine` and `test_default_machine` bend.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize

import book
import test_account
import test_certificate
import test_collateral
import test_compensation
import test_contribution
import test_correction
import test_counter_guarantee
import test_debts
import test_discount_days
import test_dishonour
import test_guarantee
import test_late
import test_loan
import test_loan_guarantee
import test_overdue
import test_recourse
import test_rescheduling
import test_reverse_transfer
import test_settlement
from book import MemoryBook
from finchain.domain.account import Account, Mandate
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.late import LateInterest
from finchain.domain.loan import Loan
from finchain.domain.payment import Payment
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Record
from finchain.errors import Refused
from finchain.outcome import Change
from finchain.report.flows import Node, money_of
from finchain.report.holdings import holdings_of
from finchain.report.scope import Scope
from finchain.report.trace import trace_of
from machine import search
from remembering import Remembering
from test_default_machine import Defaults, village
from test_holdings import check_whole
from test_state_machine import BentDeal, deal_until, steps_of

CHARGES = ("principal", "interest", "penalty", "compound", "costs", "fees")
TRACED: tuple[type[Record], ...] = (Receivable, Certificate, Guarantee, Loan, Account)


def check_past(ledger: Remembering) -> None:
    """Everything that holdings and traces promise, of all that the ledger holds."""
    for certificate in ledger.all(Certificate):
        check_stories(ledger, certificate)
    for change in ledger.changes:
        check_cash(ledger, change)
    check_traces(ledger)


def check_stories(ledger: Remembering, certificate: Certificate) -> None:
    """Intervals cover the units, sum to the certificate's buckets, and say of live units what their lots say."""
    found = holdings_of(certificate.id, certificate.currency, ledger.changes, ledger.today)
    check_whole(found, certificate.amount_minor)
    sums: dict[str, int] = defaultdict(int)
    for each in found:
        sums[each.state] += each.amount_minor
        lot = ledger.get(Lot, each.lot)
        for before, after in zip(each.steps, each.steps[1:], strict=False):
            assert before.holder == after.source, "no hand is left out"
        if each.state == "live":
            assert (each.first, each.last, each.holder) == (lot.first, lot.last, lot.holder)
            assert (each.rank, each.recourse, each.guarantee) == (lot.rank, lot.recourse, lot.guarantee)
            assert each.encumbrance == lot.encumbrance(ledger.today)
    assert sums["live"] == certificate.live_minor
    assert sums["settled"] == certificate.settled_minor
    assert sums["waived"] + sums["cancelled"] == certificate.cancelled_minor


def check_cash(ledger: Remembering, change: Change) -> None:
    """Whoever an instruction's money left or reached, the cash journal says the same of it."""
    net: dict[str, int] = defaultdict(int)
    for each in money_of(change, lambda loan: ledger.get(Loan, loan).account):
        assert each.amount_minor > 0
        net[holder(ledger, each.source)] -= each.amount_minor
        net[holder(ledger, each.target)] += each.amount_minor
    journal = {
        cash.id.rpartition(" ")[0]: cash.net_minor - (0 if before is None else before.net_minor)
        for before, cash in change.of(Cash)
    }
    assert {name: amount for name, amount in net.items() if amount} == {
        name: amount for name, amount in journal.items() if amount
    }


def holder(ledger: Remembering, node: Node) -> str:
    """Under whose name the cash journal has the money of a node; one that gives on what it gets is nobody."""
    if node.kind == "account":
        return ledger.get(Account, node.id).owner
    if node.kind == "suspense":
        return ledger.get(Certificate, node.id).issuer
    return ledger.get(Loan, node.id).lender if node.kind in CHARGES else node.id if node.kind in ENDS else str(node)


ENDS = ("party", "payee")


def check_traces(ledger: Remembering) -> None:
    """The trace of everything, and of each payment alone, adds up."""
    whole = {kind.kind: {record.id for record in ledger.all(kind)} for kind in TRACED}
    claims = ledger.all(Receivable)
    if not claims:
        return
    found = trace_of(Scope(claims[0], "CNY", whole), ledger.changes, lambda loan: ledger.get(Loan, loan).account)
    assert found.balanced, str(found)
    got: dict[str, int] = defaultdict(int)
    for use in found.uses:
        assert use.amount_minor > 0
        got[f"{use.holder.kind} {use.holder.id}"] += use.amount_minor
    drawn = {name: got.pop(name) for name in list(got) if name.startswith("draw ")}
    back = sum(each.amount_minor for each in found.money if (each.source.kind, each.target.kind) == ("account", "draw"))
    assert sum(drawn.values()) == back, "taken back are draws that were not paid out"
    for account in ledger.all(Account):
        assert got.pop(f"account {account.id}", 0) == account.settled_minor
    kept: dict[str, int] = defaultdict(int)
    for mandate in ledger.all(Mandate):
        kept[f"payee {mandate.holder}"] += mandate.used_minor
    assert got == {name: amount for name, amount in kept.items() if amount}
    for payment in ledger.all(Payment):
        one = trace_of(Scope(payment, "CNY", whole), ledger.changes, lambda loan: ledger.get(Loan, loan).account)
        assert one.balanced
        paid = sum(each.amount_minor for each in one.money if each.target.kind == "payee")
        assert paid - sum(each.amount_minor for each in one.money if each.source.kind == "payee") == payment.kept_minor
    interest = sum(each.paid_minor for each in ledger.all(LateInterest))
    assert interest == sum(each.amount_minor for each in found.money if each.target.kind == "late_interest")


Story = Callable[[], None]


def stories(*modules: ModuleType) -> list[Story]:
    """The tests of these modules that need nothing: each tells a story from an empty ledger on."""
    return [
        function
        for module in modules
        for name, function in vars(module).items()
        if name.startswith("test_") and inspect.isfunction(function) and not inspect.signature(function).parameters
    ]


MODULES = (
    test_account, test_certificate, test_collateral, test_compensation, test_contribution, test_correction,
    test_counter_guarantee, test_debts, test_discount_days, test_dishonour, test_guarantee, test_late, test_loan,
    test_loan_guarantee, test_overdue, test_recourse, test_rescheduling, test_reverse_transfer, test_settlement,
)  # fmt: skip
STORIES = stories(*MODULES)


@pytest.mark.parametrize("story", STORIES, ids=[f"{story.__module__}.{story.__name__}" for story in STORIES])
def test_the_past_of_every_story(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Remembering] = []

    class Told(Remembering):
        def __init__(self, **begun: Any) -> None:
            super().__init__(**begun)
            told.append(self)

    monkeypatch.setattr(book, "MemoryBook", Told)
    story()
    for ledger in told:
        check_past(ledger)


def test_there_are_stories_to_ask_of() -> None:
    """A module whose tests all need something would be asked nothing, and nobody would see it."""
    assert {story.__module__ for story in STORIES} == {module.__name__ for module in MODULES}


class BentPast(BentDeal):
    """The worked deal, bent; remembered from the first step on."""

    @initialize(steps=st.integers(0, 60), two_lots=st.booleans(), defaulted=st.booleans())
    def begin(self, steps: int, two_lots: bool, defaulted: bool) -> None:
        self.steps = steps_of(two_lots, defaulted)
        self.position = min(steps, len(self.steps))
        self.ledger = past = Remembering.of(deal_until(0, two_lots, defaulted))
        for step in self.steps[: self.position]:
            past.today = step.day
            with suppress(Refused):
                past.apply(*step.instructions, by=step.by)

    def teardown(self) -> None:
        if isinstance(self.ledger, Remembering):
            check_past(self.ledger)


class DefaultedPast(Defaults):
    """Small certificates of many holders and guarantors in default."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger: MemoryBook = Remembering.of(village())

    def teardown(self) -> None:
        assert isinstance(self.ledger, Remembering)
        check_past(self.ledger)


def test_the_past_of_a_bent_deal() -> None:
    search(BentPast)


def test_the_past_of_a_default() -> None:
    search(DefaultedPast)
