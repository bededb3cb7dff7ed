"""Calling guarantees: a beneficiary demands, the guarantor pays, and what it paid the debtor owes to it from then on.

A demand is for one lot and never for more than that lot's part of what the guarantor answers for, whoever asks first.
Compensation moves units, it destroys none: the guarantor takes over the lowest units of the lot for which it pays, and
ranks behind the rest of it (Civil Code 700). A counter-guarantee is the same thing once more, with the guarantor as
the beneficiary.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import date
from typing import Final

import msgspec

from finchain.calendar import DayCount
from finchain.domain import guarantee as guarantees
from finchain.domain.arithmetic import Rate, round_half_up, share_pro_rata, share_within
from finchain.domain.cash import enter_fact
from finchain.domain.certificate import Call, Certificate, Lot, cut, lots_of
from finchain.domain.check import check_amount, check_digest, check_rate
from finchain.domain.guarantee import WHOLE_BP, Guarantee, check_offered, check_together, take_effect
from finchain.domain.loan import replace_collateral
from finchain.domain.party import require
from finchain.domain.rule import Absent, Book, Instruction, Optional, refuse, rule
from finchain.domain.settlement import pass_on
from finchain.money import AMOUNT_MAX_MINOR

INTEREST_YEARS: Final = 100
"""Interest of so many years on all that a guarantor can pay must fit into an amount."""


class FileSuit(Instruction, frozen=True, tag="guarantee.file_suit"):
    """Records that the debtor was sued for a lot, within the period of the guarantee. Signed by the beneficiary.

    Attributes:
        id: Id of the guarantee.
        lot: Id of the lot.
        digest: SHA-256 of the court's paper.
    """

    id: str
    lot: str
    digest: str


class DemandCompensation(Instruction, frozen=True, tag="guarantee.demand"):
    """Demands that a guarantor pay for a lot. Signed by the beneficiary: the pledgee of a pledged lot, or the holder.

    Attributes:
        id: Id of the guarantee.
        lot: Id of the lot.
        evidence: SHA-256 of the evidence that enforcement against the debtor failed; for a general guarantee only.
    """

    id: str
    lot: str
    amount_minor: int
    evidence: str | Optional = Absent


class CompensateLots(Instruction, frozen=True, tag="guarantee.compensate"):
    """States that the guarantor paid what was demanded, or some of it; several demands share it by rule P.

    Signed by the guarantor, who gives the money, and by the certificate's settlement bank, which states the payment.
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
    guarantee, lot = _called(do.id, do.lot, book)
    check_digest("guarantee", do.digest)
    call = lot.call(guarantee.id)
    if guarantee.liability != "general" or call.sued is not Absent:
        refuse("guarantee.bad_state", f"no suit for {do.lot} is needed under {do.id}", rule="Civil Code 693",
               field="lot", value=do.lot, advice="demand from the guarantor")  # fmt: skip
    _check_period(guarantee, book)
    _put_call(lot, msgspec.structs.replace(call, sued=book.today, suit=do.digest), book)
    if guarantee.sued is Absent:
        book.put(msgspec.structs.replace(guarantee, sued=book.today))


@rule(DemandCompensation)
def _demand(do: DemandCompensation, book: Book) -> None:
    guarantee, lot = _called(do.id, do.lot, book)
    check_amount("guarantee", do.amount_minor)
    call = lot.call(guarantee.id)
    if guarantee.liability == "general":
        call = _enforced(guarantee, call, do)
    else:
        if do.evidence is not Absent:
            refuse("guarantee.evidence", f"{do.id} is payable without enforcement", field="evidence", value=do.evidence,
                   advice="leave it out")  # fmt: skip
        _check_period(guarantee, book)
    due = entitlements(book, guarantee).get(lot.id, 0) - (call.demanded_minor - call.paid_minor)
    if do.amount_minor > due:
        refuse("guarantee.over_demand", f"{max(due, 0)} more can be demanded for {do.lot}", rule="domain.md 2.3",
               field="amount_minor", value=do.amount_minor, advice=f"demand up to {max(due, 0)}",
               demanded=call.demanded_minor, paid=call.paid_minor)  # fmt: skip
    _put_call(lot, msgspec.structs.replace(call, demanded_minor=call.demanded_minor + do.amount_minor), book)
    book.put(msgspec.structs.replace(guarantee, demanded_minor=guarantee.demanded_minor + do.amount_minor))


@rule(CompensateLots)
def _compensate(do: CompensateLots, book: Book) -> None:
    guarantee = book.get(Guarantee, do.id, field="id")
    _check_in_effect(guarantee)
    certificate = book.get(Certificate, guarantee.certificate)
    require(book, "guarantee", guarantee.guarantor, field="guarantor")
    by = require(book, "guarantee", certificate.bank, role="settlement_bank", field="bank").id
    check_amount("guarantee", do.amount_minor)
    open_minor = demanded(book, guarantee)
    whole = sum(open_minor.values())
    if do.amount_minor > whole:
        refuse("guarantee.over_compensate", f"{whole} of what was demanded under {do.id} is to be paid",
               rule="domain.md 2.3", field="amount_minor", value=do.amount_minor, advice=f"pay up to {whole}",
               demanded=guarantee.demanded_minor, paid=guarantee.compensated_minor)  # fmt: skip
    last = max(day for day in (certificate.dishonoured, certificate.posted) if day is not Absent)
    on = enter_fact(
        book, "guarantee", do, by=by, amount_minor=do.amount_minor, currency=guarantee.currency, last=last
    )  # fmt: skip
    for id, share in zip(open_minor, share_pro_rata(do.amount_minor, list(open_minor.values())), strict=True):
        if share:
            _take_over(guarantee, id, share, on, book)
    guarantees.subrogate(book, guarantee.id, do.amount_minor, on)
    if guarantee.behind is not Absent:
        guarantees.recover(book, guarantee.behind, do.amount_minor, 0, on)
    book.put(msgspec.structs.replace(book.get(Certificate, certificate.id), posted=on))


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
               value=do.id, advice="agree it once, before the guarantor pays")  # fmt: skip
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
        refuse("guarantee.depth", f"{own.id} is a counter-guarantee itself", rule="domain.md 2.3", field="id",
               value=do.id, advice="ask for a guarantee behind the first one")  # fmt: skip
    certificate = book.get(Certificate, own.certificate)
    if book.today >= certificate.maturity:
        refuse("guarantee.date", f"the debt was due on {certificate.maturity}", field="id", value=do.id,
               advice="accept a counter-guarantee before the debt is due")  # fmt: skip
    check_together(book, (*own.counters, counter.id))
    check_offered(
        book, do.id, certificate=own.certificate, debtor=own.debtor, creditor=own.guarantor, currency=own.currency,
        due=own.period_end, behind=own.id,
    )  # fmt: skip
    take_effect(book, counter, own.covered_minor, certificate.maturity)
    book.put(msgspec.structs.replace(own, counters=(*own.counters, counter.id)))


def entitlements(book: Book, guarantee: Guarantee) -> Mapping[str, int]:
    """What the guarantor has still to pay for each lot, demanded or not; lots for which it is nothing are left out.

    The guarantor's part of the whole loss is divided by rule P over the losses of the lots, paid or not, so that a lot
    gets the same whether it asks first or last. What the debtor paid in between is a loss no more; what a lot then has
    got too much it keeps, and the others share what that leaves.
    """
    peers = peers_of(book, guarantee)
    ids = {peer.id for peer in peers}
    lots = [lot for lot in lots_of(book, guarantee.certificate) if _secures(guarantee, lot) or ids & _called_by(lot)]
    rests = [lot.live_minor if _secures(guarantee, lot) else 0 for lot in lots]
    paid_by_all = [sum(lot.call(id).paid_minor for id in sorted(ids)) for lot in lots]
    losses = [rest + paid for rest, paid in zip(rests, paid_by_all, strict=True)]
    paid = paid_by_all if guarantee.sharing == "joint" else [lot.call(guarantee.id).paid_minor for lot in lots]
    payable = guarantee.payable_minor(_part(guarantee, peers, sum(losses)), sum(paid))
    highs = [rest + before for rest, before in zip(rests, paid, strict=True)]
    wholes = share_within(min(payable + sum(paid), sum(highs)), losses, paid, highs)
    dues = [whole - before for whole, before in zip(wholes, paid, strict=True)]
    return {lot.id: due for lot, due in zip(lots, dues, strict=True) if due}


def demanded(book: Book, guarantee: Guarantee) -> Mapping[str, int]:
    """What was demanded for each lot and is still to be paid; a loss that the debtor has made good is none."""
    due = entitlements(book, guarantee)
    calls = {id: book.get(Lot, id).call(guarantee.id) for id in due}
    return {id: min(due[id], call.demanded_minor - call.paid_minor) for id, call in calls.items()}


def peers_of(book: Book, guarantee: Guarantee) -> list[Guarantee]:
    """The guarantees of the same debt, this one among them."""
    if guarantee.behind is Absent:
        ids = book.get(Certificate, guarantee.certificate).guarantees
    else:
        ids = book.get(Guarantee, guarantee.behind).counters
    return [book.get(Guarantee, id) for id in ids]


def _part(guarantee: Guarantee, peers: list[Guarantee], loss_minor: int) -> int:
    """A guarantor's part of a loss: of several, by rule P over their shares and what nobody covers (domain.md 2.3)."""
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


def _called_by(lot: Lot) -> set[str]:
    return {call.guarantee for call in lot.calls}


def _take_over(guarantee: Guarantee, id: str, amount_minor: int, on: date, book: Book) -> None:
    """Gives a guarantor the lowest units of a lot for its money, which goes where the lot's own would have gone."""
    lot = book.get(Lot, id)
    call = lot.call(guarantee.id)
    lot = _put_call(lot, msgspec.structs.replace(call, paid_minor=call.paid_minor + amount_minor), book)
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


def _beneficiaries(book: Book, guarantee: Guarantee) -> frozenset[str]:
    """Whom the guarantee secures, or will after a default."""
    if guarantee.behind is not Absent:
        return frozenset({book.get(Guarantee, guarantee.behind).guarantor})
    lots = lots_of(book, guarantee.certificate)
    return frozenset(lot.beneficiary for lot in lots if lot.live_minor and lot.rank in ("none", "senior"))


def _put_call(lot: Lot, call: Call, book: Book) -> Lot:
    """The lot with what was demanded and paid under one guarantee, written."""
    others = tuple(each for each in lot.calls if each.guarantee != call.guarantee)
    lot = msgspec.structs.replace(lot, calls=(*others, call))
    book.put(lot)
    return lot


def _called(id: str, lot_id: str, book: Book) -> tuple[Guarantee, Lot]:
    """A guarantee in effect and a dishonoured lot that it secures, whose beneficiary has signed."""
    guarantee = book.get(Guarantee, id, field="id")
    lot = book.get(Lot, lot_id, field="lot")
    _check_in_effect(guarantee)
    named = id in {peer.id for peer in peers_of(book, guarantee)} and lot.certificate == guarantee.certificate
    if not named or not _secures(guarantee, lot):
        refuse("guarantee.not_due", f"{id} does not answer for {lot_id}, or not yet", rule="domain.md 2.3",
               field="lot", value=lot_id, advice="let the debt be dishonoured first, and name a lot that it covers",
               rank=lot.rank, live=lot.live_minor)  # fmt: skip
    if lot.beneficiary == guarantee.guarantor:
        refuse("guarantee.wrong_role", f"{lot.beneficiary} would pay itself", rule="domain.md 2.0", field="lot",
               value=lot_id, advice="name a lot of somebody else")  # fmt: skip
    require(book, "guarantee", lot.beneficiary, field="beneficiary")
    return guarantee, lot


def _check_in_effect(guarantee: Guarantee) -> None:
    if guarantee.status not in ("effective", "called"):
        refuse("guarantee.bad_state", f"{guarantee.id} is {guarantee.status}", field="id", value=guarantee.id,
               advice="name a guarantee that is in effect")  # fmt: skip


def _check_period(guarantee: Guarantee, book: Book) -> None:
    if book.today > guarantee.period_end:
        refuse("guarantee.expired", f"the period of {guarantee.id} ended on {guarantee.period_end}",
               rule="Civil Code 693", field="id", value=guarantee.id,
               advice="nothing; the guarantor is free of it")  # fmt: skip


def _enforced(guarantee: Guarantee, call: Call, do: DemandCompensation) -> Call:
    """The call with the evidence that a general guarantor may ask for before it pays (Civil Code 687)."""
    if call.sued is Absent:
        refuse("guarantee.not_sued", f"the debtor was not sued for {do.lot} within the period", rule="Civil Code 693",
               field="lot", value=do.lot, advice=f"record the suit by {guarantee.period_end}")  # fmt: skip
    if do.evidence is Absent:
        refuse("guarantee.evidence", "a general guarantor pays after enforcement has failed", rule="Civil Code 687",
               field="evidence", advice="state the SHA-256 of the court's paper that says so")  # fmt: skip
    check_digest("guarantee", do.evidence, "evidence")
    return msgspec.structs.replace(call, evidence=do.evidence)
