"""Orders about claims: what is expected, claimed, confirmed, denied, taken by others, reduced and paid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, get_args

from finchain import instructions as do
from finchain.calendar import Shift
from finchain.domain.cash_fact import CashFact
from finchain.domain.dispute import Dispute
from finchain.domain.holiday import Calendar
from finchain.domain.late import LateInterest, ReferenceRate
from finchain.domain.loan import Loan
from finchain.domain.part import Part
from finchain.domain.prospective import Prospective
from finchain.domain.receivable import OFFERS_MAX, Mark, PartOffer, Receivable
from finchain.domain.reduction import Counterclaim, Reduction
from finchain.domain.rule import Absent, Optional
from finchain.domain.trade import Contract
from orders import Choices, Town, order

CLAIMS_MAX, PARTS_MAX, PROSPECTIVES_MAX = 8, 6, 4
"""So few that an order meets what others have left."""

AMOUNT_MAX = 1_500


# --- claims
def unsettled(claim: Receivable) -> int:
    """What of a claim is not done with."""
    return claim.pending + claim.disputed_pre + claim.open + claim.disputed_post


def claimable(town: Town) -> list[Contract | Prospective | None]:
    """What a new claim may come from: nothing, a contract, or what was expected."""
    if sum(unsettled(claim) > 0 for claim in town.claims()) >= CLAIMS_MAX:
        return []
    return [None, None, *town.all(Contract), *(each for each in town.all(Prospective) if each.expected_minor)]


@order(do.SubmitReceivable, claimable, often=2)
def submit(town: Town, source: Contract | Prospective | None, choose: Choices) -> Any:
    id = town.new_id("claim")
    creditor = choose.one(town.having("supplier"))
    debtor = choose.one(town.having("debtor", but=[creditor]))
    if isinstance(source, Contract):
        creditor, debtor = source.seller, source.buyer
    elif source is not None:
        creditor, debtor = source.creditor, source.debtor
    days = choose.one((0, 0, 5, 30))
    known = [(each.id, each.version) for each in town.all(Calendar) if town.in_days(days).year in each.years]
    calendar = choose.perhaps(choose.one(known)[0]) if known and isinstance(source, Contract) else Absent
    terms: list[do.LateTerms | Optional] = [Absent, do.LateTerms(), *agreed_rates(town, source)]
    claim = do.SubmitReceivable(
        id, creditor, debtor, choose.some(AMOUNT_MAX), "CNY", town.in_days(days), f"INV {id}",
        contract=source.id if isinstance(source, Contract) else Absent, bank=choose.perhaps("clearer"),
        prospective=source.id if isinstance(source, Prospective) else Absent, calendar=calendar,
        shift=Absent if calendar is Absent else choose.one(get_args(Shift)), late=choose.one(terms),
    )  # fmt: skip
    return claim, [creditor]


def agreed_rates(town: Town, source: Contract | Prospective | None) -> list[do.LateTerms]:
    """Terms above what the published rates were when the contract was signed."""
    signed = source.signed if isinstance(source, Contract) else town.today
    return [
        do.LateTerms(do.Rate(2_400, 10_000), "act/365f", rate.id)
        for rate in town.all(ReferenceRate) if rate.on(signed) is not None
    ]  # fmt: skip


def pending(town: Town) -> list[Receivable]:
    return [claim for claim in town.claims() if claim.pending]


@order(do.ConfirmReceivable, pending, often=3)
def confirm(town: Town, claim: Receivable, choose: Choices) -> Any:
    amount = choose.some(claim.pending)
    return do.ConfirmReceivable(claim.id, amount, choose.perhaps(choose.either())), [claim.debtor]


@order(do.RejectReceivable, pending)
def reject(town: Town, claim: Receivable, choose: Choices) -> Any:
    return do.RejectReceivable(claim.id, choose.some(claim.pending), "short delivery"), [claim.debtor]


@order(do.CancelReceivable, lambda town: [claim for claim in town.claims() if claim.pending == claim.claimed])
def cancel(town: Town, claim: Receivable, choose: Choices) -> Any:
    return do.CancelReceivable(claim.id), [claim.creditor]


@order(do.AmendReceivable, lambda town: [claim for claim in town.claims() if unsettled(claim)])
def amend(town: Town, claim: Receivable, choose: Choices) -> Any:
    parts = [town.get(Part, id) for id in claim.parts]
    told = [part.holder for part in parts if part.notified is not Absent and part.amount_minor + part.disputed_minor]
    due = max(town.today, claim.due)
    return do.AmendReceivable(claim.id, due=due), [claim.creditor, claim.debtor, *told]


# --- what is only expected
@order(do.SubmitProspective, lambda town: (None,) if len(town.all(Prospective)) < PROSPECTIVES_MAX else ())
def submit_prospective(town: Town, _: Any, choose: Choices) -> Any:
    id = town.new_id("plan")
    creditor = choose.one(town.having("supplier"))
    debtor = choose.one(town.having("debtor", but=[creditor]))
    plan = do.SubmitProspective(id, creditor, debtor, choose.some(AMOUNT_MAX), "CNY", id, town.in_days(30))
    return plan, [creditor]


@order(do.WithdrawProspective, lambda town: [each for each in town.all(Prospective) if each.expected_minor])
def withdraw_prospective(town: Town, plan: Prospective, choose: Choices) -> Any:
    return do.WithdrawProspective(plan.id, choose.some(plan.expected_minor)), [plan.creditor]


# --- parts of claims, and offers of them
def free(town: Town) -> list[Receivable]:
    """Claims of which a part can be taken."""
    return [claim for claim in town.claims() if claim.free and len(claim.parts) < PARTS_MAX]


def takers(town: Town, claim: Receivable, mark: Mark) -> list[str]:
    """Who may take a part of a claim; it is pledged to who lends to its creditor, if anybody does."""
    sides = [claim.creditor, claim.debtor]
    if mark == "assigned":
        return town.having(but=sides)
    loans = [loan for loan in town.all(Loan) if loan.ended is Absent and loan.borrower == claim.creditor]
    return [loan.lender for loan in loans] or town.having("lender", "factor", "guarantor", but=sides)


@order(do.AssignReceivable, free)
def assign(town: Town, claim: Receivable, choose: Choices) -> Any:
    to = choose.one(takers(town, claim, "assigned"))
    notice = choose.perhaps(town.paper())
    return do.AssignReceivable(town.new_id("part"), claim.id, to, choose.some(claim.free), notice), [claim.creditor, to]


@order(do.PledgeReceivable, free)
def pledge(town: Town, claim: Receivable, choose: Choices) -> Any:
    to, id = choose.one(takers(town, claim, "pledged")), town.new_id("part")
    amount, notice = choose.some(claim.free), choose.perhaps(town.paper())
    taken = do.PledgeReceivable(id, claim.id, to, amount, id, town.ledger.time_ms, town.paper(), notice)
    return taken, [claim.creditor, to]


@order(do.OfferPart, lambda town: [claim for claim in free(town) if len(claim.offers) < OFFERS_MAX])
def offer_part(town: Town, claim: Receivable, choose: Choices) -> Any:
    mark: Mark = choose.one(get_args(Mark))
    to = choose.one(takers(town, claim, mark))
    return do.OfferPart(town.new_id("part"), claim.id, to, mark, choose.some(claim.free)), [claim.creditor]


Standing = tuple[Receivable, PartOffer]


def offers(town: Town) -> list[Standing]:
    return [(claim, offer) for claim in town.claims() for offer in claim.offers]


@order(do.AcceptPart, offers)
def accept_part(town: Town, standing: Standing, choose: Choices) -> Any:
    claim, offer = standing
    entry = (offer.id, town.ledger.time_ms, town.paper())
    accept = do.AcceptPart(offer.id, claim.id, notice=choose.perhaps(town.paper()))
    if offer.mark == "pledged" or choose.either():
        accept = do.AcceptPart(offer.id, claim.id, *entry, accept.notice)
    return accept, [offer.to]


@order(do.WithdrawPartOffer, offers)
def withdraw_part_offer(town: Town, standing: Standing, choose: Choices) -> Any:
    claim, offer = standing
    return do.WithdrawPartOffer(offer.id, claim.id), [choose.one((claim.creditor, offer.to))]


@order(do.RegisterPart, lambda town: [part for part in town.all(Part) if part.registration is Absent])
def register_part(town: Town, part: Part, choose: Choices) -> Any:
    return do.RegisterPart(part.id, part.id, town.ledger.time_ms, town.paper()), [part.holder]


@order(do.NotifyDebtor, lambda town: [part for part in town.all(Part) if part.notified is Absent])
def notify(town: Town, part: Part, choose: Choices) -> Any:
    claim = town.get(Receivable, part.receivable)
    by = choose.one((part.holder, claim.creditor, claim.debtor))
    return do.NotifyDebtor(part.id, by, town.paper()), [by]


@order(do.ReleaseReceivable, lambda town: [part for part in town.all(Part) if part.amount_minor and not needed(part)])
def release(town: Town, part: Part, choose: Choices) -> Any:
    return do.ReleaseReceivable(part.id, choose.some(part.amount_minor)), [part.holder]


def needed(part: Part) -> bool:
    """Whether a loan may need a part."""
    return part.loan is not Absent


def untouched(town: Town) -> list[Part]:
    """Parts that can be taken back as if they had never been."""
    whole = [part for part in town.all(Part) if part.amount_minor == part.face_minor and not needed(part)]
    return [part for part in whole if (part.taken.year, part.taken.month) == (town.today.year, town.today.month)]


@order(do.ReversePart, untouched)
def reverse_part(town: Town, part: Part, choose: Choices) -> Any:
    claim = town.get(Receivable, part.receivable)
    debtor = [] if part.notified is Absent else [claim.debtor]
    return do.ReversePart(part.id, "wrong"), [claim.creditor, part.holder, *debtor]


# --- payments
Open = tuple[Receivable, Part | None, int]
"""A claim, a part of it or what is free, and how much of that is open."""


def open_of(claims: Iterable[Receivable], town: Town) -> list[Open]:
    found: list[Open] = []
    for claim in claims:
        found += [(claim, None, claim.free)] if claim.free else []
        parts = [town.get(Part, id) for id in claim.parts]
        found += [(claim, part, part.amount_minor) for part in parts if part.amount_minor]
    return found


def open_amounts(town: Town) -> list[Open]:
    return open_of(town.claims(), town)


def name(part: Part | None) -> Any:
    """How an instruction names a part, or what is free."""
    return Absent if part is None else part.id


@order(do.SettleReceivable, open_amounts, often=2)
def settle(town: Town, about: Open, choose: Choices) -> Any:
    claim, part, most = about
    payee = claim.creditor if part is None else part.holder
    by = payee if claim.bank is Absent else claim.bank
    pay = do.SettleReceivable(claim.id, choose.some(most), payee, *town.entry(), name(part))
    return pay, [by]


def written_off(town: Town) -> list[Reduction]:
    return [each for each in town.all(Reduction) if each.form == "write_off" and each.open_minor]


@order(do.RecoverReceivable, written_off)
def recover(town: Town, entry: Reduction, choose: Choices) -> Any:
    claim = town.get(Receivable, entry.receivable)
    payee = claim.creditor if entry.part is Absent else town.get(Part, entry.part).holder
    paid = do.RecoverReceivable(entry.id, choose.some(entry.open_minor), payee, *town.entry())
    return paid, [payee if claim.bank is Absent else claim.bank]


Posted = tuple[Receivable, Part | None, CashFact]
"""A payment that was posted to a claim, or to a part of it."""


def posted(town: Town) -> list[Posted]:
    """Payments that can be taken back: nothing was charged with them for being late."""
    claims, parts = {each.id: each for each in town.claims()}, {each.id: each for each in town.all(Part)}
    found: list[Posted] = []
    for fact in town.postings():
        part = parts.get(str(fact.of))
        claim = claims.get(str(fact.of) if part is None else part.receivable)
        in_time = claim is not None and (claim.late is Absent or fact.value_date <= claim.payable)
        found += [(claim, part, fact)] if claim is not None and in_time else []
    return found


@order(do.ReversePayment, posted)
def reverse_payment(town: Town, about: Posted, choose: Choices) -> Any:
    claim, part, fact = about
    payee = claim.creditor if part is None else part.holder
    back = do.ReversePayment(claim.id, fact.amount_minor, payee, fact.reference, "another claim", name(part))
    return back, [payee, *([] if claim.bank is Absent else [claim.bank])]


Debts = tuple[tuple[str, str], list[Loan], list[Open]]
"""A debtor and its creditor, with what is due between them."""


def several_debts(town: Town) -> list[Debts]:
    """Debts that one payment can be for: several of one debtor to one creditor."""
    loans: dict[tuple[str, str], list[Loan]] = defaultdict(list)
    claims: dict[tuple[str, str], list[Open]] = defaultdict(list)
    for loan in town.all(Loan):
        if loan.ended is Absent and town.today >= loan.due_on and loan.outstanding_minor:
            loans[loan.borrower, loan.lender].append(loan)
    for claim, part, most in open_amounts(town):
        if part is None or not needed(part):
            claims[claim.debtor, claim.creditor if part is None else part.holder].append((claim, part, most))
    sides = sorted({*loans, *claims})
    return [(each, loans[each], claims[each]) for each in sides if 2 <= len(loans[each]) + len(claims[each]) <= 32]


@order(do.ReceiveForDebts, several_debts)
def receive_for_debts(town: Town, about: Debts, choose: Choices) -> Any:
    (debtor, creditor), loans, claims = about
    parts = [part.id for _, part, _ in claims if part is not None]
    receivables = [claim.id for claim, part, _ in claims if part is None]
    owed = sum(most for _, _, most in claims) + sum(loan.outstanding_minor + loan.due_minor for loan in loans)
    names = [*(loan.id for loan in loans), *receivables, *parts]
    chosen = choose.perhaps([choose.one(names)])
    paid = do.ReceiveForDebts(
        debtor, creditor, choose.some(owed), [loan.id for loan in loans], receivables, parts, *town.entry(), chosen
    )  # fmt: skip
    banks = [claim.bank for claim, _, _ in claims if claim.bank is not Absent]
    silent = not banks or loans or any(claim.bank is Absent for claim, _, _ in claims)
    return paid, [*banks, *([creditor] if silent else []), *([] if chosen is Absent else [debtor])]


def late_interest(town: Town) -> list[LateInterest]:
    return [each for each in town.all(LateInterest) if each.due_minor]


@order(do.ReceiveLateInterest, late_interest)
def receive_late_interest(town: Town, owed: LateInterest, choose: Choices) -> Any:
    by = owed.payee if owed.bank is Absent else owed.bank
    amount = choose.some(owed.due_minor)
    return do.ReceiveLateInterest(owed.receivable, owed.payee, amount, *town.entry()), [by]


@order(do.WaiveLateInterest, late_interest)
def waive_late_interest(town: Town, owed: LateInterest, choose: Choices) -> Any:
    amount = choose.some(owed.due_minor)
    return do.WaiveLateInterest(owed.receivable, owed.payee, amount, "an old customer"), [owed.payee]


# --- disputes and reductions
def deniable(town: Town) -> list[tuple[str, Receivable, Part | None, int]]:
    """What a debtor may deny, and how much of it: all that is pending; of what it confirmed, what it kept defences for.

    The word is the stage at which it denies.
    """
    claims = town.claims()
    found: list[tuple[str, Receivable, Part | None, int]] = [
        ("pending", claim, None, claim.pending) for claim in claims if claim.pending
    ]
    for claim, part, most in open_of(claims, town):
        kept = min(most, claim.open - claim.waived)
        found += [("confirmed", claim, part, kept)] if kept > 0 else []
    return found


@order(do.DisputeReceivable, deniable)
def dispute(town: Town, about: tuple[Any, Receivable, Part | None, int], choose: Choices) -> Any:
    stage, claim, part, most = about
    notice = Absent if part is None else town.paper()
    id = town.new_id("dispute")
    denied = do.DisputeReceivable(id, claim.id, stage, choose.some(most), "never came", name(part), notice)
    return denied, [claim.debtor]


@order(do.ResolveDispute, lambda town: [each for each in town.all(Dispute) if each.open_minor])
def resolve(town: Town, denied: Dispute, choose: Choices) -> Any:
    whole = choose.some(denied.open_minor)
    owed = choose.number(0, whole)
    if choose.either():
        decided = do.ResolveDispute(denied.id, owed, whole - owed, "court", town.paper())
        return decided, ["court"]
    claim = town.get(Receivable, denied.receivable)
    holder = [] if denied.part is Absent else [town.get(Part, denied.part).holder]
    return do.ResolveDispute(denied.id, owed, whole - owed), [claim.creditor, claim.debtor, *holder]


def owners(claim: Receivable, part: Part | None) -> list[str]:
    """Who must sign for what is given up."""
    if part is None:
        return [claim.creditor]
    return [part.holder] if part.mark == "assigned" else [claim.creditor, part.holder]


@order(do.CreditReceivable, open_amounts)
def credit(town: Town, about: Open, choose: Choices) -> Any:
    claim, part, most = about
    id = town.new_id("note")
    note = do.CreditReceivable(id, claim.id, choose.some(most), id, town.paper(), name(part))
    return note, [claim.creditor, *owners(claim, part)]


@order(do.SetOffReceivable, open_amounts)
def set_off(town: Town, about: Open, choose: Choices) -> Any:
    claim, part, most = about
    counter = do.Counter(town.paper(), most, min(town.today, claim.due), claim.due)
    used = choose.one([counter, *(each.terms for each in counterclaims(town, claim))])
    amount = choose.some(min(most, used.amount_minor))
    setting = do.SetOffReceivable(town.new_id("set-off"), claim.id, amount, used, name(part))
    return setting, [claim.debtor, *owners(claim, part)]


def counterclaims(town: Town, claim: Receivable) -> list[Counterclaim]:
    """Those of a claim's debtor of which something is left."""
    own = [each for each in town.all(Counterclaim) if each.id.partition(" ")[0] == claim.debtor]
    return [each for each in own if each.used_minor < each.terms.amount_minor]


def overdue(town: Town) -> list[Open]:
    return open_of([claim for claim in town.claims() if claim.overdue(town.today)], town)


@order(do.WriteOffReceivable, overdue)
def write_off(town: Town, about: Open, choose: Choices) -> Any:
    claim, part, most = about
    id, amount = town.new_id("write-off"), choose.some(most)
    return do.WriteOffReceivable(id, claim.id, amount, "insolvent", town.paper(), name(part)), owners(claim, part)


def reversible(town: Town) -> list[Reduction]:
    month = (town.today.year, town.today.month)
    standing = [each for each in town.all(Reduction) if each.reversed is Absent and not each.recovered_minor]
    return [each for each in standing if (each.entered.year, each.entered.month) == month]


@order(do.ReverseReduction, reversible)
def reverse(town: Town, reduction: Reduction, choose: Choices) -> Any:
    return do.ReverseReduction(reduction.id, "wrong"), reduction.signers


def converted(town: Town) -> list[tuple[Receivable, int]]:
    """Claims that have become certificates, and how much can be credited of them."""
    left = [(claim, claim.converted + claim.conv_settled - claim.owed_back) for claim in town.claims()]
    return [(claim, most) for claim, most in left if most > 0]


@order(do.CreditConverted, converted)
def credit_converted(town: Town, about: tuple[Receivable, int], choose: Choices) -> Any:
    claim, most = about
    id, amount = town.new_id("claim"), choose.some(most)
    return do.CreditConverted(id, claim.id, amount, id, town.in_days(30)), [claim.creditor]
