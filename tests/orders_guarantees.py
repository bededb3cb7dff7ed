"""Orders about guarantees of certificates and loans: offered, paid for, called, paid, shared, got back and released."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, get_args

from book import digest
from finchain import instructions as do
from finchain.domain.account import Account
from finchain.domain.cash_fact import CashFact
from finchain.domain.certificate import Certificate, lots_of
from finchain.domain.compensation import Loss, demanded, entitlements, losses, peers_of
from finchain.domain.contribution import share_owed
from finchain.domain.guarantee import Guarantee, Liability, Purpose, Scope, Secures, Sharing, call_under
from finchain.domain.loan import Loan
from finchain.domain.receivable import Receivable
from finchain.domain.repayment import posted_up_to
from finchain.domain.rule import Absent
from finchain.errors import Refused
from orders import Choices, Town, order

CERTIFICATES_MAX, LOANS_MAX, OFFERS_MAX = 8, 6, 4
"""So few that an order meets what others have left."""


# --- debts that are to come, for which guarantees are offered before they are there
def to_convert(town: Town) -> list[Receivable]:
    """Free claims on debtors of suppliers; a claim for what is owed back may be on somebody else."""
    if sum(each.live_minor > 0 for each in town.all(Certificate)) >= CERTIFICATES_MAX:
        return []
    debtors, suppliers = town.having("debtor"), town.having("supplier")
    free = [claim for claim in town.claims() if claim.free]
    return [claim for claim in free if claim.debtor in debtors and claim.creditor in suppliers]


def to_lend_on(town: Town) -> Sequence[Account]:
    """Accounts on which a loan can be agreed."""
    live = [loan for loan in town.all(Loan) if loan.ended is Absent]
    return town.all(Account) if len(live) < LOANS_MAX else ()


def next_certificate(town: Town, debtor: str) -> str:
    """Id of the next certificate of a debtor."""
    return f"cert-{debtor}-{sum(each.issuer == debtor for each in town.all(Certificate))}"


def next_loan(town: Town, borrower: str) -> str:
    """Id of the next loan of a borrower."""
    return f"loan-{borrower}-{sum(each.borrower == borrower for each in town.all(Loan))}"


def offered_for(town: Town, secures: Secures, debt: str, creditor: str, due: date) -> list[str]:
    """Guarantees that can stand together behind a new debt: all that say the same of how they do."""
    found: list[Guarantee] = []
    for each in standing(town):
        meant = (each.secures, each.debt, each.behind) == (secures, debt, Absent) and each.guarantor != creditor
        if meant and due < each.period_end and fits(town, each, [other.id for other in found]):
            found.append(each)
    return [each.id for each in found]


def fits(town: Town, guarantee: Guarantee, others: Sequence[str]) -> bool:
    """Whether a guarantee can stand beside others."""
    held = [town.get(Guarantee, id) for id in others]
    room = guarantee.sharing == "joint" or sum(each.coverage_bp for each in (guarantee, *held)) <= 10_000
    return room and all(each.sharing == guarantee.sharing for each in held)


def to_guarantee(town: Town) -> list[tuple[Secures, str, str, Guarantee | None]]:
    """What can be guaranteed: its kind, its id, its debtor, and the guarantee that another may stand behind."""
    if len(standing(town)) >= OFFERS_MAX:
        return []
    found: list[tuple[Secures, str, str, Guarantee | None]] = []
    debtors = sorted({claim.debtor for claim in to_convert(town)})
    found += [("certificate", next_certificate(town, debtor), debtor, None) for debtor in debtors]
    found += [("loan", next_loan(town, each.owner), each.owner, None) for each in to_lend_on(town)]
    # Who guarantees the same debt as another meets it again when that one has paid.
    joined = [each for each in found if beside(town, *each[:2], None)] or found
    return [*joined, *((each.secures, each.debt, each.debtor, each) for each in coverable(town))]


def beside(town: Town, secures: Secures, debt: str, behind: Guarantee | None) -> list[Guarantee]:
    """The standing offers for the same debt."""
    meant = (secures, debt, Absent if behind is None else behind.id)
    return [each for each in standing(town) if (each.secures, each.debt, each.behind) == meant]


def standing(town: Town) -> list[Guarantee]:
    """Guarantees that are offered and can still be accepted."""
    return [each for each in town.all(Guarantee) if each.status == "offered" and town.today <= each.offered_until]


def coverable(town: Town) -> list[Guarantee]:
    """Guarantees that another can stand behind: the debt is not due yet."""
    return [each for each in in_effect(town) if each.behind is Absent and town.today < due_on(town, each)]


def due_on(town: Town, guarantee: Guarantee) -> date:
    """The day on which the debt of an accepted guarantee is due."""
    if guarantee.secures == "certificate":
        return town.get(Certificate, guarantee.debt).maturity
    return town.get(Loan, guarantee.debt).due_on


def in_effect(town: Town) -> list[Guarantee]:
    return [each for each in town.all(Guarantee) if each.is_in_effect]


# --- from the offer to the fee
@order(do.OfferGuarantee, to_guarantee, often=5)
def offer_guarantee(
    town: Town, about: tuple[Secures, str, str, Guarantee | None], choose: Choices
) -> Any:  # fmt: skip
    secures, debt, debtor, behind = about
    liability: Liability = choose.one(("joint_several", "joint_several", "general", "independent"))
    sharing: Sharing = choose.one(("joint", "joint", "joint", "joint", "several"))
    payer = debtor if behind is None else behind.guarantor
    # Who guarantees a debt twice has nobody to share with.
    others = [debtor, payer]
    for other in beside(town, secures, debt, behind):
        sharing = sharing if other.sharing is Absent else other.sharing
        others.append(other.guarantor)
    role = "lender" if liability == "independent" else "guarantor"
    guarantor = choose.one(town.having(role, but=others))
    end = town.in_days(60) if behind is None else behind.period_end + timedelta(days=30)
    scope = choose.one((["principal"], [*get_args(Scope)]))
    purpose: Purpose = choose.one(get_args(Purpose)) if secures == "certificate" else "financing"
    offer = do.OfferGuarantee(
        town.new_id("guarantee"), guarantor, debtor, secures, debt, "CNY", purpose, liability, "proportional",
        choose.number(2_500, 5_000), choose.one((50, 500, 5_000)), scope, do.Rate(choose.one((0, 2_400)), 10_000),
        "act/360", payer, end, town.in_days(10), sharing, Absent if behind is None else behind.id,
        digest("together") if sharing == "joint" else Absent, choose.one((False, False, False, True)), choose.either(),
    )  # fmt: skip
    return offer, [guarantor]


def behind_another(town: Town) -> list[tuple[Guarantee, Guarantee]]:
    """Counter-guarantees that are offered, each with the guarantee that it stands behind."""
    first = {each.id: each for each in coverable(town)}
    pairs = [
        (first[each.behind], each) for each in standing(town) if each.behind is not Absent and each.behind in first
    ]
    return [(own, each) for own, each in pairs if own.period_end < each.period_end and fits(town, each, own.counters)]


@order(do.AcceptCounterGuarantee, behind_another, often=2)
def accept_counter(town: Town, about: tuple[Guarantee, Guarantee], choose: Choices) -> Any:
    own, counter = about
    return do.AcceptCounterGuarantee(counter.id), [own.guarantor]


def fee_owed(town: Town) -> list[Guarantee]:
    return [each for each in town.all(Guarantee) if each.fee_minor and each.accepted is not Absent]


@order(do.PayGuaranteeFee, lambda town: [each for each in fee_owed(town) if each.fee_ordered is Absent])
def pay_fee(town: Town, guarantee: Guarantee, choose: Choices) -> Any:
    return do.PayGuaranteeFee(guarantee.id, guarantee.fee_minor), [guarantee.fee_payer]


def fee_ordered(town: Town) -> list[Guarantee]:
    return [each for each in fee_owed(town) if each.fee_ordered is not Absent and not each.fee_paid_minor]


@order(do.ReceiveGuaranteeFee, fee_ordered)
def receive_fee(town: Town, guarantee: Guarantee, choose: Choices) -> Any:
    return do.ReceiveGuaranteeFee(guarantee.id, guarantee.fee_minor, *town.entry()), [guarantee.guarantor]


def fee_posted(town: Town) -> list[tuple[Guarantee, CashFact]]:
    """Fees that were received this month and on which nothing rests, each with the entry that said so."""
    posted = {fact.of: fact for fact in town.postings()}
    paid = [each for each in fee_owed(town) if each.fee_paid_minor and not each.fee_first and each.released is Absent]
    return [(each, posted[each.id]) for each in paid if each.id in posted]


@order(do.ReverseFee, fee_posted)
def reverse_fee(town: Town, about: tuple[Guarantee, CashFact], choose: Choices) -> Any:
    guarantee, fact = about
    back = do.ReverseFee(guarantee.id, fact.reference, "another guarantee")
    return back, [guarantee.guarantor, guarantee.fee_payer]


@order(do.RefundGuaranteeFee, lambda town: [each for each in town.all(Guarantee) if each.fee_unearned_minor])
def refund_fee(town: Town, guarantee: Guarantee, choose: Choices) -> Any:
    return do.RefundGuaranteeFee(guarantee.id, guarantee.fee_unearned_minor, *town.entry()), [guarantee.fee_payer]


# --- called and paid
def unpaid_yet(town: Town) -> list[Guarantee]:
    """Guarantees whose guarantor has paid nothing and agreed no interest on what it will pay."""
    open_still = [each for each in town.all(Guarantee) if each.released is Absent and each.recovery_rate is Absent]
    return [each for each in open_still if not each.compensated_minor]


@order(do.AgreeRecovery, unpaid_yet)
def agree_recovery(town: Town, guarantee: Guarantee, choose: Choices) -> Any:
    agreed = do.AgreeRecovery(guarantee.id, do.Rate(choose.number(0, 3_600), 10_000), "act/360")
    return agreed, [guarantee.guarantor, guarantee.debtor]


Called = tuple[Guarantee, Loss, int]
"""A guarantee with a loss for which more can be demanded, and how much."""


def callable_losses(town: Town) -> list[Called]:
    return town.kept(_callable_losses)


def _callable_losses(town: Town) -> list[Called]:
    found, book = [], town.book
    for guarantee in in_effect(town):
        dues = entitlements(book, guarantee)
        for loss in losses(book, guarantee, town.today):
            call = call_under(loss.calls, guarantee.id)
            more = dues.get(loss.id, 0) - (call.demanded_minor - call.paid_minor)
            if more > 0 and loss.rest_minor and loss.beneficiary != guarantee.guarantor:
                found.append((guarantee, loss, more))
    return found


def to_sue_for(town: Town) -> list[Called]:
    general = [each for each in callable_losses(town) if each[0].liability == "general"]
    unsued = [each for each in general if call_under(each[1].calls, each[0].id).sued is Absent]
    return [each for each in unsued if town.today <= each[0].period_end]


@order(do.FileSuit, to_sue_for, often=3)
def file_suit(town: Town, about: Called, choose: Choices) -> Any:
    guarantee, loss, _ = about
    return do.FileSuit(guarantee.id, loss.id, town.paper()), [loss.beneficiary]


def to_demand(town: Town) -> list[Called]:
    found = []
    for guarantee, loss, more in callable_losses(town):
        sued = call_under(loss.calls, guarantee.id).sued is not Absent
        in_time = sued if guarantee.liability == "general" else town.today <= guarantee.period_end
        found += [(guarantee, loss, more)] if in_time else []
    return found


@order(do.DemandCompensation, to_demand, often=4)
def demand(town: Town, about: Called, choose: Choices) -> Any:
    guarantee, loss, more = about
    evidence = town.paper() if guarantee.liability == "general" else Absent
    return do.DemandCompensation(guarantee.id, loss.id, choose.some(more), evidence), [loss.beneficiary]


def to_compensate(town: Town) -> list[tuple[Guarantee, int]]:
    book = town.book
    asked = [(each, sum(demanded(book, each).values())) for each in in_effect(town)]
    return [(each, amount) for each, amount in asked if amount]


@order(do.CompensateLoss, to_compensate, often=3)
def compensate(town: Town, about: tuple[Guarantee, int], choose: Choices) -> Any:
    guarantee, most = about
    if guarantee.secures == "certificate":
        by = town.get(Certificate, guarantee.debt).bank
    else:
        by = beneficiary_of(town, guarantee)
    return do.CompensateLoss(guarantee.id, choose.some(most), *town.entry()), [guarantee.guarantor, by]


def beneficiary_of(town: Town, guarantee: Guarantee) -> str:
    """Whom a guarantee secures that is of a loan, or stands behind another: the lender, or that one's guarantor."""
    if guarantee.behind is not Absent:
        return town.get(Guarantee, guarantee.behind).guarantor
    return town.get(Loan, guarantee.debt).lender


def sharing(town: Town) -> list[tuple[Guarantee, Guarantee, int]]:
    """Guarantors of whom one owes another its share of what that paid."""
    found, book = [], town.book
    for payee in (each for each in town.all(Guarantee) if each.subrogated_minor and each.document is not Absent):
        for payer in (each for each in peers_of(book, payee) if each.guarantor != payee.guarantor):
            try:
                owed = share_owed(book, payer, payee)
            except Refused:
                continue
            found += [(payer, payee, owed)] if owed else []
    return found


@order(do.ContributeShare, sharing, often=3)
def contribute(town: Town, about: tuple[Guarantee, Guarantee, int], choose: Choices) -> Any:
    payer, payee, owed = about
    share = do.ContributeShare(payer.id, payee.id, choose.some(owed), *town.entry())
    return share, [payer.guarantor, payee.guarantor]


# --- got back, forgiven and ended
def took_over_loans(town: Town) -> list[Guarantee]:
    """Guarantees of loans whose guarantor is owed something."""
    return [each for each in town.all(Guarantee) if each.secures == "loan" and each.subrogated_minor]


@order(do.ReceiveRecovery, took_over_loans, often=2)
def receive_recovery(town: Town, guarantee: Guarantee, choose: Choices) -> Any:
    """What a guarantor gets back; before that who ranks before it is paid, which seldom happens by itself in time."""
    loan = posted_up_to(town.get(Loan, guarantee.debt), town.today)
    if ahead := loan.outstanding_minor + loan.due_minor:
        return do.ReceiveRepayment(loan.id, ahead, *town.entry()), [loan.lender]
    own = guarantee if guarantee.behind is Absent else town.get(Guarantee, guarantee.behind)
    first = own if own.owed_minor(town.today) else guarantee
    amount = choose.some(first.owed_minor(town.today))
    return do.ReceiveRecovery(first.id, amount, *town.entry()), [first.guarantor]


@order(do.WaiveRecovery, took_over_loans)
def waive_recovery(town: Town, guarantee: Guarantee, choose: Choices) -> Any:
    return do.WaiveRecovery(guarantee.id, choose.some(guarantee.subrogated_minor)), [guarantee.guarantor]


def to_release(town: Town) -> list[Guarantee]:
    """Guarantees that may end: some early, of which the fee is given back, and others once their period is over."""
    early = [each for each in in_effect(town) if each.fee_refund and each.fee_paid_minor]
    return [*early, *(each for each in in_effect(town) if town.today > each.period_end)]


@order(do.ReleaseGuarantee, to_release)
def release(town: Town, guarantee: Guarantee, choose: Choices) -> Any:
    """By all whom it secures; where nobody is left of them, by the guarantor."""
    if guarantee.behind is not Absent or guarantee.secures == "loan":
        return do.ReleaseGuarantee(guarantee.id), [beneficiary_of(town, guarantee)]
    live = [lot for lot in lots_of(town.book, guarantee.debt) if lot.live_minor]
    creditors = [lot.beneficiary for lot in live if lot.guarantee is Absent]
    return do.ReleaseGuarantee(guarantee.id), creditors or [guarantee.guarantor]
