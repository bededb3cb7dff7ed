"""Defaults of small certificates, where every odd unit counts: holders and guarantors beside a model that only adds.

Whatever is paid, demanded, compensated, shared and forgiven in whatever order: each creditor has in cash, live units
and forgiven units what it was promised; each guarantor is owed what it paid; and a payment to one lot takes nothing
from another.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from functools import cache

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from book import MemoryBook, digest, new_ledger
from finchain import instructions as do
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.compensation import demanded, entitlements
from finchain.domain.contribution import share_owed
from finchain.domain.guarantee import Guarantee
from finchain.domain.rule import Instruction
from finchain.errors import Refused
from invariants import check_all
from machine import search
from stories import GUARANTEE, ISSUE, MATURITY, but

CREDITORS = ("shop", "tier2", "payee", "maker")
GUARANTORS = {"G": "surety", "H": "second", "K": "fund"}
START = date(2026, 3, 4)
amounts = st.integers(1, 30)
shares_bp = st.integers(1, 10).map(lambda tenths: 1_000 * tenths)


@cache
def village() -> MemoryBook:
    """The parties, and a policy under which a lot may be a single unit."""
    ledger = new_ledger(msgspec.structs.replace(do.DEFAULT_POLICY, min_lot_minor=1), today=START)
    for creditor in CREDITORS:
        ledger.register(creditor, "supplier")
    for guarantor in GUARANTORS.values():
        ledger.register(guarantor, "guarantor")
    ledger.register("core", "debtor")
    ledger.register("clearer", "settlement_bank")
    return ledger


class Defaults(RuleBasedStateMachine):
    """One certificate of up to four holders, with up to two guarantors and a fund behind the first."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = village().copy()
        self.face: dict[str, int] = {}
        self.waived: dict[str, int] = defaultdict(int)
        self.serial = 0

    @initialize(
        faces=st.lists(st.integers(1, 100), min_size=2, max_size=len(CREDITORS)),
        shares=st.lists(shares_bp, min_size=1, max_size=2), caps=st.tuples(st.integers(1, 400), st.integers(1, 400)),
        sharing=st.sampled_from(["several", "joint"]), counter=st.none() | shares_bp, defaulted=st.booleans(),
    )  # fmt: skip
    def begin(
        self,
        faces: list[int],
        shares: list[int],
        caps: tuple[int, int],
        sharing: str,
        counter: int | None,
        defaulted: bool,
    ) -> None:
        self.face = dict(zip(CREDITORS, faces, strict=False))
        whole = sum(faces)
        if sharing == "several" and sum(shares) > 10_000:
            shares = [share // 2 for share in shares]
        claim = do.SubmitReceivable("R", "shop", "core", whole, "CNY", MATURITY, "INV-7")
        self.apply(claim, by=["shop"])
        self.apply(do.ConfirmReceivable("R", whole), by=["core"])
        self.names = list(GUARANTORS)[: len(shares)]
        terms = but(GUARANTEE, fee_rate=do.Rate(0, 1), sharing=sharing, document=digest("together"))
        for name, share, cap in zip(self.names, shares, caps, strict=False):
            offer = but(terms, id=name, guarantor=GUARANTORS[name], coverage_bp=share, cap_minor=cap)
            self.apply(offer, by=[GUARANTORS[name]])
        issue = but(ISSUE, amount_minor=whole, claims=[do.ClaimShare("R", whole)], guarantees=self.names)
        self.apply(issue, by=["core"])
        self.apply(do.AcceptCertificate("C"), by=["shop"])
        at = 1
        for holder in reversed(list(self.face)[1:]):
            self.apply(do.OfferTransfer(f"C {at}", holder, self.face[holder], digest("t"), recourse=False), by=["shop"])
            self.apply(do.AcceptTransfer(f"C {at}"), by=[holder])
            at += self.face[holder]
        if self.names and counter is not None:
            behind = but(terms, id="K", guarantor="fund", coverage_bp=counter, cap_minor=400, behind="G",
                         period_end=date(2027, 8, 31), fee_payer="surety")  # fmt: skip
            self.apply(behind, by=["fund"])
            self.apply(do.AcceptCounterGuarantee("K"), by=["surety"])
            self.names.append("K")
        self.ledger.move_to(MATURITY)
        if defaulted:
            self.dishonour()

    def apply(self, *instructions: Instruction, by: list[str]) -> None:
        self.ledger.apply(*instructions, by=by)

    def reference(self) -> str:
        self.serial += 1
        return f"ENTRY-{self.serial}"

    def certificate(self) -> Certificate:
        return self.ledger.get(Certificate, "C")

    def due(self, name: str) -> dict[str, int]:
        """What a guarantor has still to pay, by lot."""
        return dict(entitlements(self.ledger.book(), self.ledger.get(Guarantee, name)))

    def by_beneficiary(self, name: str) -> dict[str, int]:
        """What a guarantor has still to pay, by who gets it."""
        found: dict[str, int] = defaultdict(int)
        for lot, due in self.due(name).items():
            found[self.ledger.get(Lot, lot).beneficiary] += due
        return found

    def cash(self) -> dict[str, int]:
        return defaultdict(int, {each.id.removesuffix(" CNY"): each.net_minor for each in self.ledger.all(Cash)})

    @rule(days=st.integers(1, 20))
    def days_pass(self, days: int) -> None:
        self.ledger.advance(days)

    @precondition(lambda self: self.certificate().live_minor)
    @rule(amount=amounts)
    def debtor_pays(self, amount: int) -> None:
        before, live = self.cash()["core"], self.certificate().live_minor
        self.apply(do.PayCertificate("C", amount, self.reference(), digest("pay")), by=["clearer"])
        assert before - self.cash()["core"] == min(amount, live)

    @precondition(lambda self: self.certificate().status in ("active", "part_paid"))
    @rule()
    def dishonour(self) -> None:
        self.apply(do.DishonourCertificate("C", "clearer"), by=["clearer"])

    @rule(choices=st.data(), amount=amounts, all_of_it=st.booleans())
    def demand(self, choices: st.DataObject, amount: int, all_of_it: bool) -> None:
        name = choices.draw(st.sampled_from(self.names))
        due = self.due(name)
        if self.ledger.get(Guarantee, name).status == "released" or not due:
            return
        lot = self.ledger.get(Lot, choices.draw(st.sampled_from(sorted(due))))
        call = lot.call(name)
        most = due[lot.id] - (call.demanded_minor - call.paid_minor)
        amount = most if all_of_it else amount
        if amount < 1:
            return
        try:
            self.apply(do.DemandCompensation(name, lot.id, amount), by=[lot.beneficiary])
            assert amount <= most
        except Refused as refusal:
            late = self.ledger.today > self.ledger.get(Guarantee, name).period_end
            assert refusal.code == ("guarantee.expired" if late else "guarantee.over_demand")
            assert late or amount > most

    @rule()
    def demand_everything(self) -> None:
        for name in self.names:
            guarantee = self.ledger.get(Guarantee, name)
            if guarantee.status != "released" and self.ledger.today <= guarantee.period_end:
                for id, due in self.due(name).items():
                    lot = self.ledger.get(Lot, id)
                    call = lot.call(name)
                    more = due - (call.demanded_minor - call.paid_minor)
                    if more > 0:
                        self.apply(do.DemandCompensation(name, id, more), by=[lot.beneficiary])

    @rule(choices=st.data(), amount=amounts, all_of_it=st.booleans())
    def compensate(self, choices: st.DataObject, amount: int, all_of_it: bool) -> None:
        name = choices.draw(st.sampled_from(self.names))
        guarantee = self.ledger.get(Guarantee, name)
        asked = sum(demanded(self.ledger.book(), guarantee).values())
        if guarantee.status == "released" or not asked:
            return
        amount = asked if all_of_it else min(amount, asked)
        due, cash = self.by_beneficiary(name), self.cash()
        pay = do.CompensateLoss(name, amount, self.reference(), digest("compensation"))
        self.apply(pay, by=[guarantee.guarantor, "clearer"])
        after, now = self.by_beneficiary(name), self.cash()
        assert now[guarantee.guarantor] == cash[guarantee.guarantor] - amount
        for beneficiary in due:
            assert due[beneficiary] - after[beneficiary] == now[beneficiary] - cash[beneficiary], beneficiary

    @precondition(lambda self: {"G", "H"} <= set(self.names))
    @rule(first=st.booleans(), amount=amounts)
    def contribute(self, first: bool, amount: int) -> None:
        payer, payee = (self.ledger.get(Guarantee, name) for name in ("GH" if first else "HG"))
        share = do.ContributeShare(payer.id, payee.id, amount, self.reference(), digest("share"))
        try:
            owed = share_owed(self.ledger.book(), payer, payee)
            self.apply(share, by=["surety", "second"])
            assert amount <= owed
        except Refused as refusal:
            assert refusal.code == ("guarantee.over_contribute" if payer.sharing == "joint" else
                                    "guarantee.no_contribution")  # fmt: skip

    @precondition(lambda self: self.certificate().live_minor)
    @rule(choices=st.data(), seldom=st.integers(0, 9))
    def forgive(self, choices: st.DataObject, seldom: int) -> None:
        if seldom != 9:
            return
        lot = choices.draw(st.sampled_from([lot for lot in self.ledger.all(Lot) if lot.live_minor]))
        self.apply(do.WaiveLot(lot.id), by=[lot.holder])
        self.waived[lot.holder] += lot.live_minor

    @invariant()
    def everything_adds_up(self) -> None:
        check_all(self.ledger)

    @invariant()
    def everybody_has_what_was_promised(self) -> None:
        live: dict[str, int] = defaultdict(int)
        for lot in self.ledger.all(Lot):
            live[lot.holder] += lot.live_minor
        cash = self.cash()
        for creditor, face in self.face.items():
            assert cash[creditor] + live[creditor] + self.waived[creditor] == face, creditor
        for guarantee in self.ledger.all(Guarantee):
            assert cash[guarantee.guarantor] + live[guarantee.guarantor] + self.waived[guarantee.guarantor] == 0
            assert live[guarantee.guarantor] == guarantee.subrogated_minor

    @invariant()
    def a_guarantor_can_be_asked_for_what_it_answers_for(self) -> None:
        for guarantee in self.ledger.all(Guarantee):
            assert sum(self.due(guarantee.id).values()) <= guarantee.room_minor


def test_whoever_answers_for_a_default() -> None:
    search(Defaults)
