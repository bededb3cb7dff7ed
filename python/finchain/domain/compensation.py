"""Calling guarantees: a beneficiary demands, the guarantor pays, and what it paid the debtor owes to it from then on.

A demand is for one lot or one loan, and never for more than its part of what the guarantor answers for, whoever asks
first. Compensation destroys nothing: the guarantor takes over the lowest units of the lot for which it pays, or its
part of the loan, and ranks behind the rest (Civil Code 700). A counter-guarantee is the same thing once more, with the
guarantor as the beneficiary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from datetime import date
from typing import Final, NamedTuple

import msgspec

from finchain.calendar import DayCount
from finchain.domain import guarantee as guarantees
from finchain.domain.arithmetic import WHOLE_BP, Rate, round_half_up, share_pro_rata, share_within
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.certificate import Certificate, Lot, cut, lots_of
from finchain.domain.check import check_amount, check_digest, check_rate
from finchain.domain.guarantee import (
    Call,
    Calls,
    Guarantee,
    call_under,
    check_offered,
    check_together,
    take_effect,
    with_call,
)
from finchain.domain.loan import Loan, last_loan_posting, replace_collateral
from finchain.domain.loan_guarantee import loss_minor, take_over_loan
from finchain.domain.party import require
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, refuse, rule, up_to
from finchain.domain.settlement import pass_on
from finchain.money import AMOUNT_MAX_MINOR

INTEREST_YEARS: Final = 100
"""Interest of so many years on all that a guarantor can pay must fit into an amount."""


class FileSuit(Instruction, frozen=True, tag="guarantee.file_suit"):
    """Records that the debtor was sued, within the period of the guarantee. Signed by the beneficiary.

    Attributes:
        id: Id of the guarantee.
        claim: Id of the lot, or of the loan, for which it was sued.
        digest: SHA-256 of the court's paper.
    """

    id: str
    claim: str
    digest: str


class DemandCompensation(Instruction, frozen=True, tag="guarantee.demand"):
    """Demands that a guarantor pay. Signed by the beneficiary.

    Of a lot that is its pledgee, or its holder; of a loan the lender; of a counter-guarantee the guarantor before it.

    Attributes:
        id: Id of the guarantee.
        claim: Id of the lot, or of the loan, that was not paid.
        evidence: SHA-256 of the evidence that enforcement against the debtor failed; for a general guarantee only.
    """

    id: str
    claim: str
    amount_minor: int
    evidence: str | Optional = Absent


class CompensateLoss(Instruction, frozen=True, tag="guarantee.compensate"):
    """States that the guarantor paid what was demanded, or some of it; several demands share it by rule P.

    Signed by the guarantor, who gives the money, and by who states the payment: the certificate's settlement bank, or
    of a loan the beneficiary, who would be the one to lose.
    """

    id: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


class ReleaseGuarantee(Instruction, frozen=True, tag="guarantee.release"):
    """Ends a guarantee. Signed by all beneficiaries.

    Once its period is over and nothing that was demanded in time is unpaid, guarantor or debtor may sign instead.
    """

    id: str


class AgreeRecovery(Instruction, frozen=True, tag="guarantee.agree_recovery"):
    """Agrees the interest that the debtor owes on what the guarantor pays for it. Signed by guarantor and debtor."""

    id: str
    rate: Rate
    day_count: DayCount


class AcceptCounterGuarantee(Instruction, frozen=True, tag="guarantee.accept_counter"):
    """Brings a counter-guarantee into effect. Signed by the guarantor whom it pays back."""

    id: str


@rule(FileSuit)
def _file_suit(do: FileSuit, book: Book) -> None:
    guarantee, loss = _called(do.id, do.claim, book)
    check_digest("guarantee", do.digest)
    call = call_under(loss.calls, guarantee.id)
    if guarantee.liability != "general" or call.sued is not Absent:
        refuse("guarantee.bad_state", f"no suit for {do.claim} is needed under {do.id}", rule="Civil Code 693",
               field="claim", value=do.claim, advice=f"{NONE}: demand from the guarantor")  # fmt: skip
    _check_period(guarantee, book)
    _put_call(book, guarantee, do.claim, msgspec.structs.replace(call, sued=book.today, suit=do.digest))
    if guarantee.sued is Absent:
        book.put(msgspec.structs.replace(book.get(Guarantee, do.id), sued=book.today))


@rule(DemandCompensation)
def _demand(do: DemandCompensation, book: Book) -> None:
    guarantee, loss = _called(do.id, do.claim, book)
    check_amount("guarantee", do.amount_minor)
    call = call_under(loss.calls, guarantee.id)
    if guarantee.liability == "general":
        call = _enforced(guarantee, call, do, book)
    else:
        if do.evidence is not Absent:
            refuse("guarantee.evidence", f"{do.id} is payable without enforcement", field="evidence", value=do.evidence,
                   advice="leave it out")  # fmt: skip
        _check_period(guarantee, book)
    due = entitlements(book, guarantee).get(do.claim, 0) - (call.demanded_minor - call.paid_minor)
    if do.amount_minor > due:
        refuse("guarantee.over_demand", f"{max(due, 0)} more can be demanded for {do.claim}", rule="demands",
               field="amount_minor", value=do.amount_minor,
               advice=up_to("demand", due, "what was demanded has to be paid, or more to fall due, first"),
               demanded=call.demanded_minor, paid=call.paid_minor)  # fmt: skip
    call = msgspec.structs.replace(call, demanded_minor=call.demanded_minor + do.amount_minor)
    _put_call(book, guarantee, do.claim, call)
    demanded_minor = guarantee.demanded_minor + do.amount_minor
    book.put(msgspec.structs.replace(book.get(Guarantee, do.id), demanded_minor=demanded_minor))


@rule(CompensateLoss)
def _compensate(do: CompensateLoss, book: Book) -> None:
    guarantee = book.get(Guarantee, do.id, field="id")
    _check_in_effect(guarantee)
    require(book, "guarantee", guarantee.guarantor, field="guarantor")
    check_amount("guarantee", do.amount_minor)
    on = _paid_on(do, guarantee, book)
    open_minor = demanded(book, guarantee, on)
    whole = sum(open_minor.values())
    if do.amount_minor > whole:
        refuse("guarantee.over_compensate", f"{whole} of what was demanded under {do.id} is to be paid",
               rule="demands", field="amount_minor", value=do.amount_minor,
               advice=up_to("pay", whole, "the creditor has to demand first"),
               demanded=guarantee.demanded_minor, paid=guarantee.compensated_minor)  # fmt: skip
    for id, share in zip(open_minor, share_pro_rata(do.amount_minor, list(open_minor.values())), strict=True):
        if share:
            _take_over(guarantee, id, share, on, book)
    guarantees.subrogate(book, guarantee.id, do.amount_minor, on)
    if guarantee.behind is not Absent:
        guarantees.recover(book, guarantee.behind, do.amount_minor, 0, on)
    if guarantee.secures == "certificate":
        book.put(msgspec.structs.replace(book.get(Certificate, guarantee.debt), posted=on))


def _paid_on(do: CompensateLoss, guarantee: Guarantee, book: Book) -> date:
    """Keeps the statement that the guarantor paid, of who has to state it, and gives its value date."""
    last: date | None
    if guarantee.secures == "certificate":
        certificate = book.get(Certificate, guarantee.debt)
        by = require(book, "guarantee", certificate.bank, role="settlement_bank", field="bank").id
        days = (certificate.dishonoured, certificate.posted)
        last = max((day for day in days if day is not Absent), default=None)
    else:
        loan = book.get(Loan, guarantee.debt)
        by = require(book, "guarantee", _beneficiary(book, guarantee, loan), field="beneficiary", service_ok=True).id
        last = last_loan_posting(loan)
    return enter_fact(
        book, "guarantee", do, by=by, amount_minor=do.amount_minor, currency=guarantee.currency, last=last
    )  # fmt: skip


@rule(ReleaseGuarantee)
def _release(do: ReleaseGuarantee, book: Book) -> None:
    guarantee = book.get(Guarantee, do.id, field="id")
    _check_in_effect(guarantee)
    signers: Set[str] = _beneficiaries(book, guarantee)
    over = (
        book.today > guarantee.period_end and guarantee.sued is Absent and not any(demanded(book, guarantee).values())
    )
    if over or not signers:
        signers = book.by & {guarantee.guarantor, guarantee.debtor} or signers or {guarantee.guarantor}
    for party in sorted(signers):
        require(book, "guarantee", party, field="beneficiary")
    guarantees.release(book, guarantee.id)


@rule(AgreeRecovery)
def _agree_recovery(do: AgreeRecovery, book: Book) -> None:
    guarantee = book.get(Guarantee, do.id, field="id")
    require(book, "guarantee", guarantee.guarantor, field="guarantor")
    require(book, "guarantee", guarantee.debtor, field="debtor")
    check_rate("guarantee", do.rate, "rate")
    if guarantee.recovery_rate is not Absent or guarantee.compensated_minor or guarantee.released is not Absent:
        refuse("guarantee.bad_state", f"interest on what {do.id} pays was agreed, or it was paid already", field="id",
               value=do.id, advice=f"{NONE}: it is agreed once, before the guarantor pays")  # fmt: skip
    if guarantee.cap_minor * do.rate.value * INTEREST_YEARS > AMOUNT_MAX_MINOR * do.rate.scale:
        refuse("guarantee.amount", f"{INTEREST_YEARS} years of interest would exceed 2^53-1 minor units", field="rate",
               value=str(do.rate), advice="agree a lower rate")  # fmt: skip
    book.put(msgspec.structs.replace(guarantee, recovery_rate=do.rate, recovery_day_count=do.day_count))


@rule(AcceptCounterGuarantee)
def _accept_counter(do: AcceptCounterGuarantee, book: Book) -> None:
    counter = book.get(Guarantee, do.id, field="id")
    if counter.behind is Absent:
        refuse("guarantee.other_debt", f"{do.id} is no counter-guarantee", field="id", value=do.id,
               advice="name a guarantee that was offered behind another")  # fmt: skip
    own = book.get(Guarantee, counter.behind)
    require(book, "guarantee", own.guarantor, field="guarantor")
    _check_in_effect(own)
    if own.behind is not Absent:
        refuse("guarantee.depth", f"{own.id} is a counter-guarantee itself", rule="counter-guarantees", field="id",
               value=do.id, advice="ask for a guarantee behind the first one")  # fmt: skip
    certified = own.secures == "certificate"
    due = book.get(Certificate, own.debt).maturity if certified else book.get(Loan, own.debt).due_on
    if book.today >= due:
        refuse("guarantee.date", f"the debt was due on {due}", field="id", value=do.id,
               advice=f"{NONE}: a counter-guarantee is accepted before the debt is due")  # fmt: skip
    check_together(book, (*own.counters, counter.id))
    check_offered(
        book, do.id, secures=own.secures, debt=own.debt, debtor=own.debtor, creditor=own.guarantor,
        currency=own.currency, due=own.period_end, behind=own.id,
    )  # fmt: skip
    take_effect(book, counter, own.covered_minor, due)
    book.put(msgspec.structs.replace(own, counters=(*own.counters, counter.id)))


class Loss(NamedTuple):
    """A claim that a guarantee secures: a lot or a loan.

    Attributes:
        rest_minor: What of it is not paid and the guarantor answers for; 0 before the default.
        calls: What was demanded and paid for it under the guarantees of the debt.
    """

    id: str
    beneficiary: str
    rest_minor: int
    calls: Calls


def losses(book: Book, guarantee: Guarantee, on: date) -> Iterator[Loss]:
    """The claims that are not paid on a day, and those for which guarantors have paid."""
    if guarantee.secures == "loan":
        loan = book.get(Loan, guarantee.debt)
        beneficiary = _beneficiary(book, guarantee, loan)
        own = None if guarantee.behind is Absent else book.get(Guarantee, guarantee.behind)
        rest = loss_minor(loan, guarantee, on) if own is None else own.subrogated_minor
        calls = tuple(peer.call for peer in peers_of(book, guarantee) if peer.call is not Absent)
        yield Loss(loan.id, beneficiary, rest, calls)
        return
    ids = {peer.id for peer in peers_of(book, guarantee)}
    for lot in lots_of(book, guarantee.debt):
        secured = _secures(guarantee, lot)
        if secured or any(call.guarantee in ids for call in lot.calls):
            yield Loss(lot.id, lot.beneficiary, lot.live_minor if secured else 0, lot.calls)


def entitlements(book: Book, guarantee: Guarantee, on: date | None = None) -> Mapping[str, int]:
    """What the guarantor has still to pay for each claim, demanded or not; those for which it is nothing are left out.

    The guarantor's part of the whole loss is divided by rule P over the losses of the claims, paid or not, so that one
    gets the same whether it asks first or last. What the debtor paid in between is a loss no more; what a claim then
    has got too much it keeps, and the others share what that leaves.

    Args:
        book: What the rule reads.
        guarantee: The guarantee.
        on: The day up to which a loan's interest counts; today where absent.
    """
    peers = peers_of(book, guarantee)
    ids = [peer.id for peer in peers]
    found = list(losses(book, guarantee, book.today if on is None else on))
    rests = [loss.rest_minor for loss in found]
    paid_by_all = [sum(call_under(loss.calls, id).paid_minor for id in ids) for loss in found]
    wholes = [rest + paid for rest, paid in zip(rests, paid_by_all, strict=True)]
    joint = guarantee.sharing == "joint"
    paid = paid_by_all if joint else [call_under(loss.calls, guarantee.id).paid_minor for loss in found]
    payable = guarantee.payable_minor(_part(guarantee, peers, sum(wholes)), sum(paid))
    highs = [rest + before for rest, before in zip(rests, paid, strict=True)]
    parts = share_within(min(payable + sum(paid), sum(highs)), wholes, paid, highs)
    dues = [part - before for part, before in zip(parts, paid, strict=True)]
    return {loss.id: due for loss, due in zip(found, dues, strict=True) if due}


def demanded(book: Book, guarantee: Guarantee, on: date | None = None) -> Mapping[str, int]:
    """What was demanded for each claim and is still to be paid; a loss that the debtor has made good is none.

    Arguments are those of `entitlements`.
    """
    due = entitlements(book, guarantee, on)
    calls = {id: _call(book, guarantee, id) for id in due}
    return {id: min(due[id], call.demanded_minor - call.paid_minor) for id, call in calls.items()}


def peers_of(book: Book, guarantee: Guarantee) -> list[Guarantee]:
    """The guarantees of the same debt, this one among them."""
    if guarantee.behind is not Absent:
        ids = book.get(Guarantee, guarantee.behind).counters
    elif guarantee.secures == "certificate":
        ids = book.get(Certificate, guarantee.debt).guarantees
    else:
        ids = book.get(Loan, guarantee.debt).guarantees
    return [book.get(Guarantee, id) for id in ids]


def _part(guarantee: Guarantee, peers: list[Guarantee], loss_minor: int) -> int:
    """A guarantor's part of a loss: of several, by rule P over their shares and what nobody covers."""
    if guarantee.sharing == "joint" or len(peers) == 1:
        return round_half_up(guarantee.coverage_bp * loss_minor, WHOLE_BP)
    shares = [peer.coverage_bp for peer in peers]
    parts = share_pro_rata(loss_minor, [*shares, WHOLE_BP - sum(shares)])
    return parts[[peer.id for peer in peers].index(guarantee.id)]


def _secures(guarantee: Guarantee, lot: Lot) -> bool:
    """Whether a guarantor answers for what is live of a lot: the holders', or what another guarantor took over."""
    if not lot.live_minor:
        return False
    if guarantee.behind is Absent:
        return lot.rank == "senior"
    return lot.rank == "junior" and lot.guarantee == guarantee.behind


def _take_over(guarantee: Guarantee, id: str, amount_minor: int, on: date, book: Book) -> None:
    """Gives a guarantor for its money its part of a loan, or the lowest units of a lot.

    The money for a lot goes where the lot's own would have gone.
    """
    call = _call(book, guarantee, id)
    _put_call(book, guarantee, id, msgspec.structs.replace(call, paid_minor=call.paid_minor + amount_minor))
    if guarantee.secures == "loan":
        _take_over_loan(guarantee, amount_minor, on, book)
        return
    lot = book.get(Lot, id)
    if amount_minor < lot.live_minor:
        lower, upper = cut(book, lot, amount_minor)
        if lot.pledge is not Absent:
            replace_collateral(book, lot.pledge.loan, lot.id, upper.id)
        lower = msgspec.structs.replace(lower, calls=())
    else:
        # What was paid for it stays with it, because it still counts when the loss is divided.
        if lot.pledge is not Absent:
            replace_collateral(book, lot.pledge.loan, lot.id, None)
        lower = lot
    book.put(
        msgspec.structs.replace(
            lower, holder=guarantee.guarantor, rank="junior" if guarantee.behind is Absent else "last",
            guarantee=guarantee.id, source=Absent, recourse=(), pledge=Absent, written_off=Absent,
        )
    )  # fmt: skip
    pass_on(book, guarantee.guarantor, lot, amount_minor, on, guarantee.currency)


def _take_over_loan(guarantee: Guarantee, amount_minor: int, on: date, book: Book) -> None:
    if guarantee.behind is Absent:
        take_over_loan(book, guarantee, amount_minor, on)
    else:
        # Nothing of the loan changes: who is owed what the first guarantor paid does.
        own = book.get(Guarantee, guarantee.behind)
        move_cash(book, guarantee.guarantor, own.guarantor, amount_minor, guarantee.currency)


def _beneficiary(book: Book, guarantee: Guarantee, loan: Loan) -> str:
    """Whom a guarantee of a loan secures."""
    return loan.lender if guarantee.behind is Absent else book.get(Guarantee, guarantee.behind).guarantor


def _beneficiaries(book: Book, guarantee: Guarantee) -> frozenset[str]:
    """Whom the guarantee secures, or will after a default."""
    if guarantee.secures == "loan":
        return frozenset({_beneficiary(book, guarantee, book.get(Loan, guarantee.debt))})
    if guarantee.behind is not Absent:
        return frozenset({book.get(Guarantee, guarantee.behind).guarantor})
    lots = lots_of(book, guarantee.debt)
    return frozenset(lot.beneficiary for lot in lots if lot.live_minor and lot.rank in ("none", "senior"))


def _call(book: Book, guarantee: Guarantee, id: str) -> Call:
    """What was demanded and paid for a claim under a guarantee: it stands in the lot, or of a loan in the guarantee."""
    if guarantee.secures == "certificate":
        return book.get(Lot, id).call(guarantee.id)
    return Call(guarantee=guarantee.id) if guarantee.call is Absent else guarantee.call


def _put_call(book: Book, guarantee: Guarantee, id: str, call: Call) -> None:
    """Writes what was demanded and paid for a claim under a guarantee."""
    if guarantee.secures == "certificate":
        lot = book.get(Lot, id)
        book.put(msgspec.structs.replace(lot, calls=with_call(lot.calls, call)))
    else:
        book.put(msgspec.structs.replace(book.get(Guarantee, guarantee.id), call=call))


def _called(id: str, claim: str, book: Book) -> tuple[Guarantee, Loss]:
    """A guarantee in effect and a claim that it secures and that is not paid, whose beneficiary has signed."""
    guarantee = book.get(Guarantee, id, field="id")
    _check_in_effect(guarantee)
    named = id in {peer.id for peer in peers_of(book, guarantee)}
    found = {loss.id: loss for loss in losses(book, guarantee, book.today) if loss.rest_minor}
    if not named or claim not in found:
        kind = "lot" if guarantee.secures == "certificate" else "loan"
        refuse("guarantee.not_due", f"{id} does not answer for {claim}, or not yet", rule="demands",
               field="claim", value=claim,
               advice=f"let the default come first, and name a {kind} that it covers and that is not paid",
               secures=f"{guarantee.secures} {guarantee.debt}")  # fmt: skip
    loss = found[claim]
    if loss.beneficiary == guarantee.guarantor:
        refuse("guarantee.wrong_role", f"{loss.beneficiary} would pay itself", rule="both sides", field="claim",
               value=claim, advice="name a claim of somebody else")  # fmt: skip
    require(book, "guarantee", loss.beneficiary, field="beneficiary")
    return guarantee, loss


def _check_in_effect(guarantee: Guarantee) -> None:
    if not guarantee.is_in_effect:
        refuse("guarantee.bad_state", f"{guarantee.id} is {guarantee.status}", field="id", value=guarantee.id,
               advice=f"{NONE}: it was released" if guarantee.released is not Absent
               else f"let {guarantee.id} take effect first")  # fmt: skip


def _check_period(guarantee: Guarantee, book: Book) -> None:
    if book.today > guarantee.period_end:
        refuse("guarantee.expired", f"the period of {guarantee.id} ended on {guarantee.period_end}",
               rule="Civil Code 693", field="id", value=guarantee.id,
               advice=f"{NONE}: the guarantor is free of it")  # fmt: skip


def _enforced(guarantee: Guarantee, call: Call, do: DemandCompensation, book: Book) -> Call:
    """The call with the evidence that a general guarantor may ask for before it pays (Civil Code 687)."""
    if call.sued is Absent:
        refuse("guarantee.not_sued", f"the debtor was not sued for {do.claim} within the period", rule="Civil Code 693",
               field="claim", value=do.claim, advice=f"record the suit first, by {guarantee.period_end}"
               if book.today <= guarantee.period_end else f"{NONE}: the guarantor is free of it")  # fmt: skip
    if do.evidence is Absent:
        refuse("guarantee.evidence", "a general guarantor pays after enforcement has failed", rule="Civil Code 687",
               field="evidence", advice="state the SHA-256 of the court's paper that says so")  # fmt: skip
    check_digest("guarantee", do.evidence, "evidence")
    return msgspec.structs.replace(call, evidence=do.evidence)
