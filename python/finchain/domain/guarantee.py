"""Guarantees: a third party's promise to pay a certificate's holders what its debtor does not.

A guarantee is offered before the debt exists, takes effect when the creditor accepts the debt, and ends with it by
itself. What decides who pays how much is never guessed: kind of liability, share, cap, scope and period are stated.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Final, Literal

import msgspec

from finchain.calendar import DAYS_IN_YEAR, DayCount, count_days
from finchain.domain.arithmetic import Rate, interest, round_half_up
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.check import check_amount, check_currency, check_identifier, check_rate
from finchain.domain.party import require, require_role
from finchain.domain.rule import Absent, Book, Instruction, Optional, Record, record, refuse, rule
from finchain.money import format_minor

Purpose = Literal["financing", "non_financing"]
Liability = Literal["general", "joint_several", "independent"]
Convention = Literal["proportional", "first_loss"]
Scope = Literal["principal", "interest", "penalty", "costs"]
Status = Literal["offered", "effective", "released"]

WHOLE_BP: Final = 10_000
"""A share of everything, in basis points."""


@record
class Guarantee(Record, frozen=True, kw_only=True):
    """A guarantor's promise towards the holders of one certificate.

    Attributes:
        certificate: Id of the certificate, which need not exist when the guarantee is offered.
        purpose: `non_financing` where the debt is a trade debt; leverage limits count `financing` only.
        liability: `general`: after the debtor was sued and enforcement failed; `joint_several`: on demand;
            `independent`: on a complying demand, whatever became of the debt.
        convention: `proportional`: the share of each loss; `first_loss`: the whole loss, up to the cap.
        coverage_bp: The share, in basis points.
        cap_minor: The most that is ever paid.
        fee_payer: Who owes the fee, which is `fee_minor` from the day of effect on.
        fee_ordered: The day on which the payer ordered it paid.
        period_end: Last day on which a demand (for `general`: a suit) is in time.
        offered_until: Last day on which it may take effect.
        covered_minor: What of the debt it covered on the day of effect.
        compensated_minor: What the guarantor paid to beneficiaries.
        recovered_minor: What it got back from the debtor.
    """

    kind: ClassVar[str] = "guarantee"

    guarantor: str
    debtor: str
    certificate: str
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
    # I-8: subrogated = compensated - recovered, and what the guarantor gains a beneficiary has lost.
    compensated_minor: int = 0
    recovered_minor: int = 0
    fee_ordered: date | Optional = Absent
    effective: date | Optional = Absent
    released: date | Optional = Absent

    @property
    def status(self) -> Status:
        """Where the guarantee stands."""
        if self.released is not Absent:
            return "released"
        return "offered" if self.effective is Absent else "effective"

    def exposure_minor(self, outstanding_minor: int) -> int:
        """What the guarantor may still have to pay while so much of the debt is outstanding (I-7).

        The share is of the whole loss, paid or not, so that asking again after a payment gives nothing more.
        """
        if self.status != "effective":
            return 0
        whole = round_half_up(self.coverage_bp * (outstanding_minor + self.compensated_minor), WHOLE_BP)
        return max(0, min(self.cap_minor, whole) - self.compensated_minor)

    def __str__(self) -> str:
        covered = format_minor(self.covered_minor, self.currency)
        return f"{self.id} {self.status}: {self.guarantor} covers {covered} {self.currency} of {self.certificate}"


class OfferGuarantee(Instruction, frozen=True, tag="guarantee.offer"):
    """Promises to guarantee a certificate that is to be issued. Signed by the guarantor.

    Attributes:
        scope: What is guaranteed besides the sum itself; each at most once, `principal` always.
    """

    id: str
    guarantor: str
    debtor: str
    certificate: str
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


class PayGuaranteeFee(Instruction, frozen=True, tag="guarantee.pay_fee"):
    """Orders the fee paid, to the minor unit. Signed by the payer; money moves when the guarantor has received it."""

    id: str
    amount_minor: int


class ReceiveGuaranteeFee(Instruction, frozen=True, tag="guarantee.receive_fee"):
    """States that the fee arrived. Signed by the guarantor, who would be the one to lose."""

    id: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


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
    require_role(book, "guarantee", do.debtor, role="debtor", field="debtor")
    require_role(book, "guarantee", do.fee_payer, field="fee_payer")
    if do.guarantor in (do.debtor, do.fee_payer):
        refuse("guarantee.wrong_role", f"{do.guarantor} cannot guarantee its own debt, nor pay itself",
               rule="domain.md 2.0", field="guarantor", value=do.guarantor, advice="name another party")  # fmt: skip
    check_currency("guarantee", do.currency)
    check_amount("guarantee", do.cap_minor, "cap_minor")
    check_identifier("guarantee", do.certificate, "certificate")
    check_rate("guarantee", do.fee_rate, "fee_rate")
    _check_share(do)
    if not book.today <= do.until < do.period_end:
        refuse("guarantee.date", "the offer has ended, or outlives the guarantee", field="until", value=str(do.until),
               advice=f"state a date from {book.today} on, before {do.period_end}")  # fmt: skip
    book.put(
        Guarantee(
            id=do.id, guarantor=do.guarantor, debtor=do.debtor, certificate=do.certificate, currency=do.currency,
            purpose=do.purpose, liability=do.liability, convention=do.convention, coverage_bp=do.coverage_bp,
            cap_minor=do.cap_minor, scope=tuple(sorted(do.scope)), fee_rate=do.fee_rate,
            fee_day_count=do.fee_day_count, fee_payer=do.fee_payer, period_end=do.period_end, offered_until=do.until,
        )
    )  # fmt: skip


def _check_share(do: OfferGuarantee) -> None:
    if not 1 <= do.coverage_bp <= WHOLE_BP or (do.convention == "first_loss" and do.coverage_bp != WHOLE_BP):
        refuse("guarantee.coverage", f"a share of {do.coverage_bp} basis points", rule="domain.md 2.3",
               field="coverage_bp", value=do.coverage_bp,
               advice=f"state 1 to {WHOLE_BP}; under first_loss {WHOLE_BP}, because the cap limits it")  # fmt: skip
    if "principal" not in do.scope or len(set(do.scope)) != len(do.scope):
        refuse("guarantee.scope", "the scope leaves out the principal sum, or names something twice", field="scope",
               value=", ".join(do.scope), advice="state principal, and what else is covered, each once")  # fmt: skip


@rule(PayGuaranteeFee)
def _pay_fee(do: PayGuaranteeFee, book: Book) -> None:
    guarantee = book.get(Guarantee, do.id, field="id")
    require(book, "guarantee", guarantee.fee_payer, field="fee_payer")
    if guarantee.fee_ordered is not Absent:
        refuse("guarantee.bad_state", f"the fee was ordered on {guarantee.fee_ordered}", field="id", value=do.id,
               advice="let the guarantor state its receipt")  # fmt: skip
    _check_fee(guarantee, do.amount_minor)
    book.put(msgspec.structs.replace(guarantee, fee_ordered=book.today))


@rule(ReceiveGuaranteeFee)
def _receive_fee(do: ReceiveGuaranteeFee, book: Book) -> None:
    guarantee = book.get(Guarantee, do.id, field="id")
    require(book, "guarantee", guarantee.guarantor, field="guarantor", service_ok=True)
    ordered = guarantee.fee_ordered
    if ordered is Absent or guarantee.fee_paid_minor:
        refuse("guarantee.bad_state", "the fee was not ordered, or was received before", field="id", value=do.id,
               advice=f"let {guarantee.fee_payer} order it first, once", fee_paid=guarantee.fee_paid_minor)  # fmt: skip
    _check_fee(guarantee, do.amount_minor)
    enter_fact(
        book, "guarantee", do, by=guarantee.guarantor, amount_minor=do.amount_minor, currency=guarantee.currency,
        last=ordered,
    )  # fmt: skip
    move_cash(book, guarantee.fee_payer, guarantee.guarantor, do.amount_minor, guarantee.currency)
    book.put(msgspec.structs.replace(guarantee, fee_paid_minor=do.amount_minor))


def _check_fee(guarantee: Guarantee, amount_minor: int) -> None:
    if guarantee.effective is Absent or guarantee.fee_minor == 0:
        refuse("guarantee.bad_state", f"no fee of {guarantee.id} is owed", field="id", value=guarantee.id,
               advice="a fee is owed from the day on which the guarantee takes effect")  # fmt: skip
    if amount_minor != guarantee.fee_minor:
        refuse(
            "guarantee.fee", f"the fee is {format_minor(guarantee.fee_minor, guarantee.currency)}",
            rule="domain.md 2.3", field="amount_minor", value=amount_minor, advice=f"state {guarantee.fee_minor}",
            covered=guarantee.covered_minor, rate=str(guarantee.fee_rate), day_count=guarantee.fee_day_count,
        )  # fmt: skip


def check_offered(
    book: Book, id: str, *, certificate: str, debtor: str, creditor: str, currency: str, due: date
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
    meant = (guarantee.certificate, guarantee.debtor, guarantee.currency)
    if meant != (certificate, debtor, currency) or creditor == guarantee.guarantor:
        refuse("guarantee.other_debt", f"{id} is for {', '.join(meant)}", field="guarantee", value=id,
               advice="name a guarantee that was offered for this debt")  # fmt: skip
    if guarantee.period_end <= due:
        refuse("guarantee.period", f"{id} ends on {guarantee.period_end}, when {due} has barely come",
               rule="Civil Code 692", field="guarantee", value=id,
               advice=f"ask for a period that ends after {due}")  # fmt: skip
    return guarantee


def take_effect(book: Book, guarantee: Guarantee, amount_minor: int, due: date) -> None:
    """Brings an offered guarantee into effect today, for a debt of this amount that is due then."""
    covered_minor = min(guarantee.cap_minor, round_half_up(guarantee.coverage_bp * amount_minor, WHOLE_BP))
    days = count_days(book.today, due, guarantee.fee_day_count)
    fee_minor = interest(covered_minor, guarantee.fee_rate, days, DAYS_IN_YEAR[guarantee.fee_day_count])
    book.put(
        msgspec.structs.replace(guarantee, effective=book.today, covered_minor=covered_minor, fee_minor=fee_minor)
    )  # fmt: skip


def release(book: Book, id: str) -> None:
    """Ends a guarantee whose debt has ended (Civil Code 393); the exposure is 0 from then on."""
    book.put(msgspec.structs.replace(book.get(Guarantee, id), released=book.today))
