"""Claims under a model made of a dict of integers: it knows what each step must do, and compares."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction
from math import ceil, floor

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, invariant, multiple, rule

from book import START, digest
from finchain import instructions as do
from finchain.domain.dilution import dilution_bp
from finchain.domain.part import Part
from finchain.domain.receivable import OFFERS_MAX, Mark, Receivable, claim_of
from finchain.domain.rule import Instruction
from machine import Machine, search

DUE = date(2026, 8, 31)
small = st.integers(1, 300)


class Claims(Machine):
    """Claims from submission to payment, beside a model that only counts."""

    claims = Bundle("claims")
    parts = Bundle("parts")
    offers = Bundle("offers")
    disputes = Bundle("disputes")
    reductions = Bundle("reductions")

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[tuple[str, str], int] = defaultdict(int)
        self.holders: dict[str, tuple[str, str, Mark]] = {}
        self.standing: dict[str, tuple[str, str, Mark, int, date]] = {}
        self.denied: dict[str, tuple[str, str, str]] = {}
        self.reduced: dict[str, tuple[str, str, str, int, date]] = {}
        self.months: dict[int, list[int]] = defaultdict(lambda: [0, 0])

    def count(self, claim: str, **changes: int) -> None:
        for bucket, change in changes.items():
            self.model[claim, bucket] += change

    def dilute(self, confirmed: int, credited: int) -> None:
        month = self.months[12 * self.ledger.today.year + self.ledger.today.month]
        month[0] += confirmed
        month[1] += credited

    def open(self, claim: str) -> int:
        return sum(self.model[claim, bucket] for bucket in ("free", "reserved", "assigned", "pledged"))

    def bucket_of(self, claim: str, part: str) -> tuple[tuple[str, str], str, str]:
        """Where the model counts what is open of a part, the claim's bucket of it, and the refusal beyond it."""
        if not part:
            return (claim, "free"), "free", "receivable.insufficient_free"
        return (part, "open"), self.holders[part][2], "part.insufficient"

    def day_has_passed(self) -> None:
        for id, (claim, _, _, amount, until) in list(self.standing.items()):
            if self.ledger.today > until:
                self.count(claim, free=amount, reserved=-amount)
                del self.standing[id]

    @rule(target=claims, amount=st.integers(1, 1_000))
    def submit(self, amount: int) -> str:
        id = self.next_id("R")
        assert self.outcome(do.SubmitReceivable(id, "shop", "core", amount, "CNY", DUE, id), by={"shop"}) == ""
        self.count(id, claimed=amount, pending=amount)
        return id

    @rule(claim=claims)
    def submit_the_same_invoice(self, claim: str) -> None:
        amount = self.model[claim, "claimed"]
        again = do.SubmitReceivable(f"{claim}x", "shop", "core", amount, "CNY", DUE, claim.lower())
        if self.model[claim, "rejected"] + self.model[claim, "cancelled"] < amount:
            assert self.outcome(again, by={"shop"}) == "receivable.duplicate"

    @rule(claim=claims, amount=small, waives=st.booleans())
    def confirm(self, claim: str, amount: int, waives: bool) -> None:
        code = self.outcome(do.ConfirmReceivable(claim, amount, waives), by={"core"})
        if amount > self.model[claim, "pending"]:
            assert code == "receivable.over_confirm"
        else:
            assert code == ""
            self.count(claim, pending=-amount, confirmed=amount, free=amount, waived=amount if waives else 0)
            self.dilute(amount, 0)

    @rule(claim=claims, amount=small)
    def reject(self, claim: str, amount: int) -> None:
        code = self.outcome(do.RejectReceivable(claim, amount, "short delivery"), by={"core"})
        if amount > self.model[claim, "pending"]:
            assert code == "receivable.over_reject"
        else:
            assert code == ""
            self.count(claim, pending=-amount, rejected=amount)

    @rule(claim=claims)
    def cancel(self, claim: str) -> None:
        pending = self.model[claim, "pending"]
        code = self.outcome(do.CancelReceivable(claim), by={"shop"})
        if pending < self.model[claim, "claimed"]:
            assert code == "receivable.bad_state"
        else:
            assert code == ""
            self.count(claim, pending=-pending, cancelled=pending)

    @rule(target=parts, claim=claims, amount=small, holder=st.sampled_from(["bank", "factor"]), pledge=st.booleans())
    def take(self, claim: str, amount: int, holder: str, pledge: bool) -> object:
        id = self.next_id("P")
        now, paper = self.ledger.time_ms, digest(id)
        taken: Instruction = do.AssignReceivable(id, claim, holder, amount)
        if pledge:
            taken = do.PledgeReceivable(id, claim, holder, amount, id, now, paper)
        mark: Mark = "pledged" if pledge else "assigned"
        code = self.outcome(taken, by={"shop", holder})
        if amount > self.model[claim, "free"]:
            assert code == "receivable.insufficient_free"
            return multiple()
        assert code == ""
        self.count(claim, free=-amount, **{mark: amount})
        self.count(id, open=amount)
        self.holders[id] = (claim, holder, mark)
        return id

    @rule(part=parts, amount=small)
    def release(self, part: str, amount: int) -> None:
        claim, holder, mark = self.holders[part]
        code = self.outcome(do.ReleaseReceivable(part, amount), by={holder})
        if amount > self.model[part, "open"]:
            assert code == "part.insufficient"
        else:
            assert code == ""
            self.count(part, open=-amount)
            self.count(claim, free=amount, **{mark: -amount})

    @rule(part=parts)
    def notify(self, part: str) -> None:
        _, holder, _ = self.holders[part]
        code = self.outcome(do.NotifyDebtor(part, holder, digest(part)), by={holder})
        assert code == ("receivable.bad_state" if self.model[part, "notified"] else "")
        self.model[part, "notified"] = 1

    @rule(part=parts, amount=small, to_holder=st.booleans())
    def pay_a_part(self, part: str, amount: int, to_holder: bool) -> None:
        claim, holder, mark = self.holders[part]
        payee = holder if to_holder else "shop"
        entry = self.next_id("entry")
        code = self.outcome(do.SettleReceivable(claim, amount, payee, entry, digest(entry), part), by={payee})
        if not to_holder and self.model[part, "notified"]:
            assert code == "receivable.wrong_payee"
        elif amount > self.model[part, "open"]:
            assert code == "part.insufficient"
        else:
            assert code == ""
            self.count(part, open=-amount)
            self.count(claim, settled=amount, **{mark: -amount})

    @rule(claim=claims, amount=small)
    def pay(self, claim: str, amount: int) -> None:
        entry = self.next_id("entry")
        code = self.outcome(do.SettleReceivable(claim, amount, "shop", entry, digest(entry)), by={"shop"})
        if amount > self.model[claim, "free"]:
            assert code == "receivable.insufficient_free"
        else:
            assert code == ""
            self.count(claim, free=-amount, settled=amount)
            again = do.SettleReceivable(claim, 1, "shop", entry, digest("another"))
            assert self.outcome(again, by={"shop"}) == "receivable.duplicate"

    @rule(first=claims, second=claims, amount=st.integers(1, 600))
    def pay_two(self, first: str, second: str, amount: int) -> None:
        """Both are due on one day, so what is paid is shared, and of two equal claims the one named first is first."""
        entry = self.next_id("entry")
        paid = do.ReceiveForDebts("core", "shop", amount, [], [first, second], [], entry, digest(entry))
        code = self.outcome(paid, by={"shop"})
        free = [self.model[claim, "free"] for claim in (first, second)]
        if first == second:
            assert code == "debt.debts"
        elif amount > sum(free):
            assert code == "debt.over_paid"
        else:
            assert code == ""
            exact = [Fraction(amount * each, sum(free)) for each in free]
            share = ceil(exact[0]) if exact[0] % 1 >= Fraction(1, 2) else floor(exact[0])
            self.count(first, free=-share, settled=share)
            self.count(second, free=share - amount, settled=amount - share)

    @rule(target=offers, claim=claims, amount=small, to=st.sampled_from(["bank", "factor"]), pledge=st.booleans())
    def offer(self, claim: str, amount: int, to: str, pledge: bool) -> object:
        id = self.next_id("P")
        mark: Mark = "pledged" if pledge else "assigned"
        code = self.outcome(do.OfferPart(id, claim, to, mark, amount), by={"shop"})
        if amount > self.model[claim, "free"]:
            assert code == "receivable.insufficient_free"
        elif sum(each[0] == claim for each in self.standing.values()) == OFFERS_MAX:
            assert code == "receivable.offers"
        else:
            assert code == ""
            self.count(claim, free=-amount, reserved=amount)
            self.standing[id] = (claim, to, mark, amount, self.ledger.today + timedelta(days=10))
            self.holders[id] = (claim, to, mark)
            return id
        return multiple()

    @rule(target=parts, id=consumes(offers), withdraw=st.booleans())
    def end_an_offer(self, id: str, withdraw: bool) -> object:
        claim, to, mark = self.holders[id]
        if withdraw:
            code = self.outcome(do.WithdrawPartOffer(id, claim), by={"shop"})
        else:
            accept = do.AcceptPart(id, claim, id, self.ledger.time_ms, digest(id))
            code = self.outcome(accept, by={to})
        if id not in self.standing:
            assert code == "receivable.expired"
            return multiple()
        assert code == ""
        *_, amount, _ = self.standing.pop(id)
        self.count(claim, reserved=-amount, **{"free" if withdraw else mark: amount})
        if withdraw:
            return multiple()
        self.count(id, open=amount)
        return id

    @rule(target=disputes, claim=claims, amount=small)
    def deny_what_is_pending(self, claim: str, amount: int) -> object:
        id = self.next_id("D")
        code = self.outcome(do.DisputeReceivable(id, claim, "pending", amount, "never came"), by={"core"})
        if amount > self.model[claim, "pending"]:
            assert code == "receivable.over_dispute"
            return multiple()
        assert code == ""
        self.count(claim, pending=-amount, disputed_pre=amount)
        self.count(id, open=amount)
        self.denied[id] = (claim, "", "disputed_pre")
        return id

    @rule(target=disputes, where=claims | parts, amount=small)
    def deny_what_was_confirmed(self, where: str, amount: int) -> object:
        id, part = self.next_id("D"), where if where in self.holders else ""
        claim = self.holders[part][0] if part else where
        place, mark, beyond = self.bucket_of(claim, part)
        deny = do.DisputeReceivable(id, claim, "confirmed", amount, "broken")
        if part:
            deny = msgspec.structs.replace(deny, part=part, notice=digest(id))
        code = self.outcome(deny, by={"core"})
        if amount > self.open(claim) - self.model[claim, "waived"]:
            assert code == "receivable.waived"
        elif amount > self.model[place]:
            assert code == beyond
        else:
            assert code == ""
            self.count(claim, **{mark: -amount, f"disputed_{mark}": amount})
            if part:
                self.count(part, open=-amount, disputed=amount)
            self.count(id, open=amount)
            self.denied[id] = (claim, part, f"disputed_{mark}")
            return id
        return multiple()

    @rule(dispute=disputes, owed=st.integers(0, 200), reduced=st.integers(0, 200), award=st.booleans())
    def resolve(self, dispute: str, owed: int, reduced: int, award: bool) -> None:
        claim, part, bucket = self.denied[dispute]
        resolve = do.ResolveDispute(dispute, owed, reduced)
        by = {"shop", "core"} | ({self.holders[part][1]} if part else set())
        if award:
            resolve, by = msgspec.structs.replace(resolve, arbiter="court", award=digest("award")), {"court"}
        code = self.outcome(resolve, by=by)
        if not 1 <= owed + reduced <= self.model[dispute, "open"]:
            assert code == "receivable.over_resolve"
            return
        assert code == ""
        self.count(dispute, open=-owed - reduced)
        self.count(claim, waived=owed, **{bucket: -owed - reduced})
        if bucket == "disputed_pre":
            self.count(claim, confirmed=owed, free=owed, rejected=reduced)
            self.dilute(owed, 0)
        else:
            self.count(claim, credited=reduced, **{bucket.removeprefix("disputed_"): owed})
            self.dilute(0, reduced)
        if part:
            self.count(part, open=owed, disputed=-owed - reduced, credited=reduced)

    @rule(target=reductions, where=claims | parts, amount=small, form=st.sampled_from(["credited", "setoff",
          "written_off"]))  # fmt: skip
    def reduce(self, where: str, amount: int, form: str) -> object:
        id, part = self.next_id("X"), where if where in self.holders else ""
        claim = self.holders[part][0] if part else where
        place, mark, beyond = self.bucket_of(claim, part)
        which = part or msgspec.UNSET
        counter = do.Counter(digest(id), amount, START, DUE)
        instruction: Instruction = {
            "credited": do.CreditReceivable(id, claim, amount, id, digest(id), which),
            "setoff": do.SetOffReceivable(id, claim, amount, counter, which),
            "written_off": do.WriteOffReceivable(id, claim, amount, "insolvent", digest(id), which),
        }[form]
        code = self.outcome(instruction, by={"shop", "core", "bank", "factor"})
        if form == "written_off" and not self.overdue(claim):
            assert code == "receivable.bad_state"
        elif amount > self.model[place]:
            assert code == beyond
        else:
            assert code == ""
            self.move_out(claim, part, mark, form, amount)
            self.reduced[id] = (claim, part, form, amount, self.ledger.today)
            return id
        return multiple()

    def overdue(self, claim: str) -> bool:
        buckets = ("pending", "disputed_free", "disputed_assigned", "disputed_pledged")
        left = self.open(claim) + sum(self.model[claim, bucket] for bucket in buckets)
        return self.ledger.today > DUE and left > 0

    def move_out(self, claim: str, part: str, mark: str, form: str, amount: int) -> None:
        self.count(claim, **{mark: -amount, form: amount})
        if part:
            self.count(part, open=-amount, **{form: amount})
        if form == "credited":
            self.dilute(0, amount)

    @rule(reduction=reductions, amount=small)
    def pay_what_was_written_off(self, reduction: str, amount: int) -> None:
        claim, part, form, whole, _ = self.reduced[reduction]
        entry, payee = self.next_id("entry"), self.holders[part][1] if part else "shop"
        code = self.outcome(do.RecoverReceivable(reduction, amount, payee, entry, digest(entry)), by={payee})
        paid = self.model[reduction, "recovered"]
        if form != "written_off" or self.model[reduction, "reversed"] or amount > whole - paid:
            assert code == "receivable.over_recover"
        else:
            assert code == ""
            self.model[reduction, "recovered"] += amount
            self.count(claim, written_off=-amount, settled=amount)

    @rule(reduction=reductions)
    def take_a_reduction_back(self, reduction: str) -> None:
        claim, part, form, amount, entered = self.reduced[reduction]
        code = self.outcome(do.ReverseReduction(reduction, "wrong"), by={"shop", "core", "bank", "factor"})
        if self.model[reduction, "reversed"]:
            assert code == "receivable.bad_state"
        elif self.model[reduction, "recovered"]:
            assert code == "receivable.dependant"
        elif (entered.year, entered.month) != (self.ledger.today.year, self.ledger.today.month):
            assert code == "receivable.period"
        else:
            assert code == ""
            self.model[reduction, "reversed"] = 1
            self.move_out(claim, part, self.bucket_of(claim, part)[1], form, -amount)

    @rule(part=parts)
    def take_a_part_back(self, part: str) -> None:
        claim, _, mark = self.holders[part]
        held = self.ledger.get(Part, part)
        code = self.outcome(do.ReversePart(part, "wrong"), by={"shop", "core", "bank", "factor"})
        if self.model[part, "open"] != held.face_minor:
            assert code == "receivable.dependant"
        elif (held.taken.year, held.taken.month) != (self.ledger.today.year, self.ledger.today.month):
            assert code == "receivable.period"
        else:
            assert code == ""
            self.count(part, open=-held.face_minor)
            self.count(claim, free=held.face_minor, **{mark: -held.face_minor})

    @rule(claim=claims, by=st.sampled_from(["shop", "bank", "guarantor"]), service=st.booleans())
    def nobody_confirms_for_the_debtor(self, claim: str, by: str, service: bool) -> None:
        signed = {by}
        machine = {"core"} if service else set[str]()
        assert self.outcome(do.ConfirmReceivable(claim, 1), by=signed, service=machine) == "receivable.not_signed"

    @invariant()
    def records_are_what_the_model_counted(self) -> None:
        buckets = (
            "claimed", "pending", "confirmed", "rejected", "cancelled", "waived", "free", "reserved", "assigned",
            "pledged", "settled", "credited", "setoff", "written_off", "disputed_pre", "disputed_free",
            "disputed_assigned", "disputed_pledged",
        )  # fmt: skip
        for held in self.ledger.all(Receivable):
            claim = claim_of(self.ledger.book(), held.id)
            for bucket in buckets:
                assert getattr(claim, bucket) == self.model[claim.id, bucket], f"{claim.id} {bucket}"
        for part in self.ledger.all(Part):
            shown = (part.amount_minor, part.disputed_minor, part.credited_minor)
            assert shown == tuple(self.model[part.id, bucket] for bucket in ("open", "disputed", "credited"))

    @invariant()
    def dilution_is_of_twelve_months(self) -> None:
        now = 12 * self.ledger.today.year + self.ledger.today.month
        kept = [month for number, month in self.months.items() if number > now - 12]
        confirmed, credited = sum(month[0] for month in kept), sum(month[1] for month in kept)
        whole = Fraction(credited, confirmed) if confirmed else Fraction(credited > 0)
        expected = int(min(whole, Fraction(1)) * 10_000 + Fraction(1, 2))
        assert dilution_bp(self.ledger.book(), "core", "CNY") == expected


def test_claims_are_what_the_model_counts() -> None:
    search(Claims)
