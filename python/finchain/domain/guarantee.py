"""Guarantees: a third party's promise to pay a certificate's holders, or a loan's lender, what the debtor does not.

A guarantee is offered before the debt exists, takes effect when the creditor accepts the debt, and ends with it by
itself. What decides who pays how much is never guessed: kind of liability, share, cap, scope and period are stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import ClassVar, Final, Literal

import msgspec

from finchain.calendar import DAYS_IN_YEAR, DayCount, add_days, count_days
from finchain.domain.arithmetic import WHOLE_BP, Rate, interest, round_half_up
from finchain.domain.capacity import check_cover, cover, end_cover
from finchain.domain.check import check_amount, check_currency, check_digest, check_identifier, check_rate
from finchain.domain.party import require, require_role
from finchain.domain.rule import Absent, Book, Instruction, Optional, Record, from_to, record, refuse, rule
from finchain.money import format_minor

Purpose = Literal["financing", "non_financing"]
Liability = Literal["general", "joint_several", "independent"]
Convention = Literal["proportional", "first_loss"]
Scope = Literal["principal", "interest", "penalty", "costs"]
Sharing = Literal["several", "joint"]
"""Several guarantors of one debt: each for its own share (Civil Code 699), or any of them for all within its scope."""

Secures = Literal["certificate", "loan"]
"""What kind of debt is guaranteed."""

Status = Literal["offered", "accepted", "effective", "called", "released"]

GUARANTEES_MAX: Final = 8
"""Guarantees of one debt: what was demanded under each has to fit into a lot's record of 16,384 bytes."""


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a beneficiary did to be paid for a lot or a loan by one guarantee, and what it got.

    Attributes:
        demanded_minor: What was demanded in all.
        paid_minor: What the guarantor paid for it.
        sued: The day on which the debtor was sued, and `suit` the SHA-256 of the paper.
        evidence: SHA-256 of the evidence that enforcement against the debtor failed.
    """

    guarantee: str
    demanded_minor: int = 0
    paid_minor: int = 0
    sued: date | Optional = Absent
    suit: str | Optional = Absent
    evidence: str | Optional = Absent


Calls = tuple[Call, ...]


def call_under(calls: Calls, guarantee: str) -> Call:
    """What was demanded and paid under a guarantee, which may be nothing yet."""
    return next((each for each in calls if each.guarantee == guarantee), Call(guarantee=guarantee))


def with_call(calls: Calls, call: Call) -> Calls:
    """The calls with one in the place of that of the same guarantee."""
    return (*(each for each in calls if each.guarantee != call.guarantee), call)


@record
class Guarantee(Record, frozen=True, kw_only=True):
    """A guarantor's promise towards the holders of one certificate, or the lender of one loan.

    Attributes:
        debt: Id of the certificate or the loan, which need not exist when the guarantee is offered.
        behind: Of a counter-guarantee: the guarantee whose guarantor it secures.
        counters: Of a guarantee with counter-guarantees in effect: their ids.
        sharing: How it stands beside other guarantees of the debt; absent where it is the only one.
        document: SHA-256 of the paper that its guarantors signed together; they share what they lose.
        purpose: `non_financing` where the debt is a trade debt; limits of what a guarantor covers count `financing`.
        liability: `general`: after the debtor was sued and enforcement failed; `joint_several`: on demand;
            `independent`: on a complying demand, whatever became of the debt.
        convention: `proportional`: the share of each loss; `first_loss`: the whole loss, up to the cap.
        coverage_bp: The share, in basis points.
        cap_minor: The most that is ever paid.
        fee_payer: Who owes the fee, which is `fee_minor` from the day of acceptance on.
        fee_first: Whether it takes effect only when the fee has come.
        fee_refund: Whether the fee for the days after an early release is given back.
        fee_until: The day on which the debt was due at acceptance, up to which the fee counts.
        fee_ordered: The day on which the payer ordered it paid.
        fee_refunded_minor: What of it the guarantor gave back.
        period_end: Last day on which a demand (for `general`: a suit) is in time.
        offered_until: Last day on which it may take effect.
        covered_minor: What of the debt it covered on the day of effect.
        demanded_minor: What beneficiaries demanded.
        compensated_minor: What the guarantor paid to them.
        recovered_minor: What it got back of that, from the debtor or from a counter-guarantor.
        waived_minor: What of it the guarantor has forgiven.
        contributed_minor: What it paid to a guarantor beside it that had paid more than its share.
        shared_minor: What guarantors beside it paid to it.
        sued: The day on which a beneficiary first sued the debtor.
        call: Of a guarantee of a loan: what was demanded and paid; of a certificate's that stands in its lots.
        recovery_rate: Rate per year on what was paid and not got back, where debtor and guarantor agreed one.
        interest_from: The day up to which that interest is posted.
        rulebook: Number of the rulebook that it was signed under: its terms stay those of that rulebook.
    """

    kind: ClassVar[str] = "guarantee"

    rulebook: int
    guarantor: str
    debtor: str
    secures: Secures
    debt: str
    currency: str
    purpose: Purpose
    liability: Liability
    convention: Convention
    coverage_bp: int
    cap_minor: int
    scope: tuple[Scope, ...]
    fee_rate: Rate
    fee_day_count: DayCount
    fee_payer: str
    period_end: date
    offered_until: date
    covered_minor: int = 0
    fee_minor: int = 0
    fee_paid_minor: int = 0
    fee_refunded_minor: int = 0
    fee_first: bool = False
    fee_refund: bool = False
    demanded_minor: int = 0
    # I-8: subrogated = compensated + contributed - shared - recovered - waived; what it gains a beneficiary has lost.
    compensated_minor: int = 0
    recovered_minor: int = 0
    waived_minor: int = 0
    contributed_minor: int = 0
    shared_minor: int = 0
    interest_posted_minor: int = 0
    interest_paid_minor: int = 0
    behind: str | Optional = Absent
    counters: tuple[str, ...] = ()
    sharing: Sharing | Optional = Absent
    document: str | Optional = Absent
    sued: date | Optional = Absent
    call: Call | Optional = Absent
    recovery_rate: Rate | Optional = Absent
    recovery_day_count: DayCount | Optional = Absent
    interest_from: date | Optional = Absent
    fee_ordered: date | Optional = Absent
    fee_until: date | Optional = Absent
    accepted: date | Optional = Absent
    effective: date | Optional = Absent
    released: date | Optional = Absent

    @property
    def status(self) -> Status:
        """Where the guarantee stands."""
        if self.released is not Absent:
            return "released"
        if self.accepted is Absent:
            return "offered"
        if self.effective is Absent:
            return "accepted"
        return "called" if self.demanded_minor else "effective"

    @property
    def is_in_effect(self) -> bool:
        """Whether something can be demanded under it."""
        return self.status in ("effective", "called")

    @property
    def subrogated_minor(self) -> int:
        """What the debtor owes the guarantor, because the guarantor paid it in its place."""
        paid = self.compensated_minor + self.contributed_minor
        return paid - self.shared_minor - self.recovered_minor - self.waived_minor

    @property
    def room_minor(self) -> int:
        """What is left below its cap."""
        return self.cap_minor - self.compensated_minor - self.contributed_minor

    @property
    def open_minor(self) -> int:
        """What was demanded and not paid."""
        return self.demanded_minor - self.compensated_minor

    def payable_minor(self, part_minor: int, paid_minor: int) -> int:
        """What it has still to pay of its part of a loss, of which so much is paid, by it or for it.

        The part is of the whole loss, paid or not, so that asking again after a payment gives nothing more (I-7).
        """
        return max(0, min(self.room_minor, part_minor - paid_minor))

    def exposure_minor(self, outstanding_minor: int, today: date, others_minor: int = 0) -> int:
        """What the guarantor may still have to pay while so much of the debt is outstanding (I-7).

        After the period it answers only for what was demanded in time, or, where the debtor was sued in time, for all.

        Args:
            outstanding_minor: What the beneficiaries have not been paid.
            today: The day for which it is asked.
            others_minor: What other guarantors paid to them.
        """
        if not self.is_in_effect:
            return 0
        loss = outstanding_minor + self.compensated_minor + others_minor
        paid = self.compensated_minor + (others_minor if self.sharing == "joint" else 0)
        payable = self.payable_minor(round_half_up(self.coverage_bp * loss, WHOLE_BP), paid)
        in_time = today <= self.period_end or self.sued is not Absent
        return payable if in_time else min(payable, self.open_minor)

    def fee_earned_minor(self, on: date) -> int:
        """What of the fee is earned by a day: all of it once the debt is due."""
        since, until = self.accepted, self.fee_until
        if since is Absent or until is Absent or on >= until:
            return self.fee_minor
        days = count_days(since, max(since, on), self.fee_day_count)
        return min(
            self.fee_minor, interest(self.covered_minor, self.fee_rate, days, DAYS_IN_YEAR[self.fee_day_count])
        )  # fmt: skip

    @property
    def fee_unearned_minor(self) -> int:
        """What the guarantor has still to give back of the fee after an early release, where that was agreed."""
        if self.released is Absent or not self.fee_refund:
            return 0
        return max(0, self.fee_paid_minor - self.fee_earned_minor(self.released) - self.fee_refunded_minor)

    def interest_owed_minor(self, on: date) -> int:
        """Interest that the debtor owes the guarantor up to a day, posted or not."""
        owed = self.interest_posted_minor - self.interest_paid_minor
        rate, day_count, since = self.recovery_rate, self.recovery_day_count, self.interest_from
        if rate is Absent or day_count is Absent or since is Absent or on <= since:
            return owed
        days = count_days(since, on, day_count)
        return owed + interest(self.subrogated_minor, rate, days, DAYS_IN_YEAR[day_count])

    def owed_minor(self, on: date) -> int:
        """All that the debtor owes the guarantor up to a day: what it paid and did not get back, and the interest."""
        return self.subrogated_minor + self.interest_owed_minor(on)

    def __str__(self) -> str:
        covered = format_minor(self.covered_minor, self.currency)
        return f"{self.id} {self.status}: {self.guarantor} covers {covered} {self.currency} of {self.debt}"


class OfferGuarantee(Instruction, frozen=True, tag="guarantee.offer"):
    """Promises to guarantee a certificate that is to be issued, or a loan to be agreed. Signed by the guarantor.

    Attributes:
        debt: Id that the certificate or the loan will have.
        scope: What is guaranteed besides the sum itself; each at most once, `principal` always.
        sharing: Needed where the debt has several guarantors.
        document: SHA-256 of a paper that joint guarantors sign together, and by which they share what they lose.
        behind: Makes it a counter-guarantee: the guarantee whose guarantor it will pay back.
        fee_first: Makes the fee a condition: nothing is guaranteed before it has come.
        fee_refund: Agrees that the fee for the days after an early release is given back.
    """

    id: str
    guarantor: str
    debtor: str
    secures: Secures
    debt: str
    currency: str
    purpose: Purpose
    liability: Liability
    convention: Convention
    coverage_bp: int
    cap_minor: int
    scope: list[Scope]
    fee_rate: Rate
    fee_day_count: DayCount
    fee_payer: str
    period_end: date
    until: date
    sharing: Sharing | Optional = Absent
    behind: str | Optional = Absent
    document: str | Optional = Absent
    fee_first: bool | Optional = Absent
    fee_refund: bool | Optional = Absent


@rule(OfferGuarantee)
def _offer(do: OfferGuarantee, book: Book) -> None:
    check_identifier("guarantee", do.id)
    if book.find(Guarantee, do.id) is not None:
        refuse("guarantee.duplicate", f"there is a guarantee {do.id} already", field="id", value=do.id,
               advice="choose another id")  # fmt: skip
    # An independent guarantee binds only where a bank or another financial institution gives it; from anybody else the
    # courts read it as an accessory one (Supreme People's Court 2016 No. 24, article 1).
    independent = do.liability == "independent"
    require(book, "guarantee", do.guarantor, role="lender" if independent else "guarantor", field="guarantor")
    of_trade = do.secures == "certificate"
    require_role(book, "guarantee", do.debtor, role="debtor" if of_trade else None, field="debtor")
    require_role(book, "guarantee", do.fee_payer, field="fee_payer")
    if do.guarantor in (do.debtor, do.fee_payer):
        refuse("guarantee.wrong_role", f"{do.guarantor} cannot guarantee its own debt, nor pay itself",
               rule="both sides", field="guarantor", value=do.guarantor, advice="name another party")  # fmt: skip
    check_currency("guarantee", do.currency)
    check_amount("guarantee", do.cap_minor, "cap_minor")
    check_identifier("guarantee", do.debt, "debt")
    check_rate("guarantee", do.fee_rate, "fee_rate")
    _check_share(do)
    _check_purpose(do, book)
    if do.document is not Absent:
        check_digest("guarantee", do.document, "document")
    if not book.today <= do.until < do.period_end:
        refuse("guarantee.date", "the offer has ended, or outlives the guarantee", field="until", value=str(do.until),
               advice=from_to(book.today, add_days(do.period_end, -1),
                              "let the period end after today, and the offer before it"))  # fmt: skip
    book.put(
        Guarantee(
            id=do.id, rulebook=book.rulebook,
            guarantor=do.guarantor, debtor=do.debtor, secures=do.secures, debt=do.debt, currency=do.currency,
            purpose=do.purpose, liability=do.liability, convention=do.convention, coverage_bp=do.coverage_bp,
            cap_minor=do.cap_minor, scope=tuple(sorted(do.scope)), fee_rate=do.fee_rate,
            fee_day_count=do.fee_day_count, fee_payer=do.fee_payer, period_end=do.period_end, offered_until=do.until,
            sharing=do.sharing, behind=do.behind, document=do.document, fee_first=do.fee_first is True,
            fee_refund=do.fee_refund is True,
        )
    )  # fmt: skip


def _check_share(do: OfferGuarantee) -> None:
    if not 1 <= do.coverage_bp <= WHOLE_BP or (do.convention == "first_loss" and do.coverage_bp != WHOLE_BP):
        refuse("guarantee.coverage", f"a share of {do.coverage_bp} basis points", rule="coverage",
               field="coverage_bp", value=do.coverage_bp,
               advice=f"state {WHOLE_BP}; under first_loss the cap limits it" if do.convention == "first_loss"
               else f"state 1 to {WHOLE_BP}")  # fmt: skip
    if "principal" not in do.scope or len(set(do.scope)) != len(do.scope):
        refuse("guarantee.scope", "the scope leaves out the principal sum, or names something twice", field="scope",
               value=", ".join(do.scope), advice="state principal, and what else is covered, each once")  # fmt: skip


def _check_purpose(do: OfferGuarantee, book: Book) -> None:
    # A guarantee of borrowed money is a financing one whatever it is called, or no limit of such would hold (State
    # Council 683, article 2).
    if do.secures == "loan" and do.purpose != "financing":
        refuse("guarantee.purpose", f"{do.debt} is a loan, and its guarantee a financing one", rule="R9",
               field="purpose", value=do.purpose, advice="state financing")  # fmt: skip
    if do.purpose == "financing":
        check_cover(book, do.guarantor, do.debtor, do.currency, do.cap_minor, field="cap_minor")


def check_offered(
    book: Book,
    id: str,
    *,
    secures: Secures,
    debt: str,
    debtor: str,
    creditor: str,
    currency: str,
    due: date,
    behind: str | Optional = Absent,
) -> Guarantee:
    """The guarantee, which stands offered for exactly this debt.

    Raises:
        Refused: `guarantee.not_found`, `guarantee.bad_state`, `guarantee.expired`, `guarantee.other_debt`, or
            `guarantee.period`.
    """
    guarantee = book.get(Guarantee, id, field="guarantee")
    if guarantee.status != "offered":
        refuse("guarantee.bad_state", f"{id} is {guarantee.status}", field="guarantee", value=id,
               advice="ask the guarantor for a new offer")  # fmt: skip
    if book.today > guarantee.offered_until:
        refuse("guarantee.expired", f"the offer of {id} ended on {guarantee.offered_until}", field="guarantee",
               value=id, advice="ask the guarantor for a new offer")  # fmt: skip
    meant = (guarantee.secures, guarantee.debt, guarantee.debtor, guarantee.currency)
    given = (secures, debt, debtor, currency)
    if meant != given or guarantee.behind != behind or creditor == guarantee.guarantor:
        refuse("guarantee.other_debt", f"{id} is for {', '.join(meant)}", field="guarantee", value=id,
               advice="name a guarantee that was offered for this debt")  # fmt: skip
    if guarantee.period_end <= due:
        refuse("guarantee.period", f"{id} ends on {guarantee.period_end}, when {due} has barely come",
               rule="Civil Code 692", field="guarantee", value=id,
               advice=f"ask for a period that ends after {due}")  # fmt: skip
    return guarantee


def take_effect(book: Book, guarantee: Guarantee, amount_minor: int, due: date) -> None:
    """Accepts an offered guarantee today, for a debt of this amount that is due then.

    It takes effect with that, or when its fee has come where that is a condition.

    Raises:
        Refused: `guarantee.cap_exceeded`, where its guarantor may not cover so much more.
    """
    covered_minor = min(guarantee.cap_minor, round_half_up(guarantee.coverage_bp * amount_minor, WHOLE_BP))
    days = count_days(book.today, due, guarantee.fee_day_count)
    fee_minor = interest(covered_minor, guarantee.fee_rate, days, DAYS_IN_YEAR[guarantee.fee_day_count])
    waits = guarantee.fee_first and fee_minor
    if guarantee.purpose == "financing":
        # From now on and not from the fee on, or a fee could come for what the guarantor may no longer cover.
        cover(book, guarantee.guarantor, guarantee.debtor, guarantee.currency, covered_minor)
    book.put(
        msgspec.structs.replace(
            guarantee, accepted=book.today, effective=Absent if waits else book.today, covered_minor=covered_minor,
            fee_minor=fee_minor, fee_until=due,
        )
    )  # fmt: skip


def check_together(book: Book, ids: Sequence[str], *, most: int = GUARANTEES_MAX) -> None:
    """Refuses guarantees that do not say how they stand beside each other, or whose shares are more than the whole.

    Args:
        book: What the rule reads.
        ids: Ids of the guarantees of one debt.
        most: How many it may have.

    Raises:
        Refused: `guarantee.not_found`, `guarantee.sharing` or `guarantee.coverage`.
    """
    if len(ids) > most or len(set(ids)) != len(ids):
        refuse("guarantee.sharing", f"{len(ids)} guarantees are named, or one twice", field="guarantees",
               value=len(ids), advice=f"name up to {most}, each once")  # fmt: skip
    if len(ids) < 2:
        return
    together = [book.get(Guarantee, id, field="guarantees") for id in ids]
    kinds = {each.sharing for each in together}
    if len(kinds) > 1 or Absent in kinds:
        refuse("guarantee.sharing", "the guarantors do not all say that they answer severally, or all jointly",
               rule="Civil Code 699", field="guarantees", value=", ".join(ids),
               advice="ask them for offers that state the same sharing")  # fmt: skip
    shares = sum(each.coverage_bp for each in together)
    if shares > WHOLE_BP and kinds == {"several"}:
        refuse("guarantee.coverage", f"the shares sum to {shares} basis points", rule="I-9",
               field="guarantees", value=shares, advice=f"let several shares sum to {WHOLE_BP} at most")  # fmt: skip


def subrogate(book: Book, id: str, amount_minor: int, on: date) -> None:
    """Enters that the guarantor paid beneficiaries, which the debtor then owes to it (Civil Code 700)."""
    held = _with_interest(book.get(Guarantee, id), on)
    book.put(msgspec.structs.replace(held, compensated_minor=held.compensated_minor + amount_minor))


def recover(book: Book, id: str, amount_minor: int, interest_minor: int, on: date) -> None:
    """Enters what a guarantor got back: of the sum that it paid, and of the interest on that."""
    held = _with_interest(book.get(Guarantee, id), on)
    book.put(
        msgspec.structs.replace(
            held, recovered_minor=held.recovered_minor + amount_minor,
            interest_paid_minor=held.interest_paid_minor + interest_minor,
        )
    )  # fmt: skip


def contribute(book: Book, payer: str, payee: str, amount_minor: int, on: date) -> None:
    """Enters that one guarantor paid another its share of what that had paid."""
    held = _with_interest(book.get(Guarantee, payer), on)
    book.put(msgspec.structs.replace(held, contributed_minor=held.contributed_minor + amount_minor))
    held = _with_interest(book.get(Guarantee, payee), on)
    book.put(msgspec.structs.replace(held, shared_minor=held.shared_minor + amount_minor))


def waive(book: Book, id: str, amount_minor: int) -> None:
    """Enters that the guarantor forgave the debtor some of what it had paid."""
    held = _with_interest(book.get(Guarantee, id), book.today)
    book.put(msgspec.structs.replace(held, waived_minor=held.waived_minor + amount_minor))


def _with_interest(guarantee: Guarantee, on: date) -> Guarantee:
    """The guarantee with interest on what is not got back posted up to a day on which that changes."""
    posted = guarantee.interest_owed_minor(on) + guarantee.interest_paid_minor
    since = on if guarantee.interest_from is Absent else max(on, guarantee.interest_from)
    return msgspec.structs.replace(guarantee, interest_posted_minor=posted, interest_from=since)


def release(book: Book, id: str) -> None:
    """Ends a guarantee whose debt has ended (Civil Code 393), with those behind it; the exposure is 0 from then on."""
    held = book.get(Guarantee, id)
    if held.released is Absent:
        # A fee that nobody has ordered yet is owed for the days that were covered, where no more was agreed.
        waits, unpaid = held.effective is Absent, held.fee_ordered is Absent
        fee_minor = held.fee_earned_minor(book.today) if unpaid and held.fee_refund else held.fee_minor
        book.put(msgspec.structs.replace(held, released=book.today, fee_minor=0 if waits and unpaid else fee_minor))
        if held.purpose == "financing" and held.accepted is not Absent:
            end_cover(book, held.guarantor, held.debtor, held.currency, held.covered_minor)
    for counter in held.counters:
        release(book, counter)
