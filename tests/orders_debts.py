"""Orders about certificates: issued, handed on, sold, taken back, paid, or not paid."""

from __future__ import annotations

from typing import Any

from finchain import instructions as do
from finchain.calendar import count_days
from finchain.domain.arithmetic import interest
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent
from orders import Choices, Town, order
from orders_guarantees import next_certificate, offered_for, to_convert

BELIEVED_DAYS = 1
"""Days before maturity from which a debtor pays; one that always paid at once would never default."""


# --- certificates
@order(do.IssueCertificate, to_convert, often=4)
def issue(town: Town, claim: Receivable, choose: Choices) -> Any:
    """A promise in the place of some claims between two parties, with every guarantee that was offered for it."""
    id = next_certificate(town, claim.debtor)
    sides = (claim.creditor, claim.debtor)
    others = [each for each in town.claims() if each.free and (each.creditor, each.debtor) == sides]
    claims = [claim, *(each for each in others if each.id != claim.id and choose.either())][:3]
    shares = [do.ClaimShare(each.id, choose.some(each.free)) for each in claims]
    maturity = town.in_days(choose.one((10, 20, 40)))
    certificate = do.IssueCertificate(
        id, claim.debtor, claim.creditor, sum(share.amount_minor for share in shares), "CNY", maturity, shares,
        "clearer", "pro_solvendo", guarantees=offered_for(town, "certificate", id, claim.creditor, maturity) or Absent,
    )  # fmt: skip
    return certificate, [claim.debtor]


def offered(town: Town) -> list[Certificate]:
    return [each for each in town.all(Certificate) if each.status == "offered"]


@order(do.AcceptCertificate, lambda town: [each for each in offered(town) if town.today <= each.offered_until], often=4)
def accept(town: Town, certificate: Certificate, choose: Choices) -> Any:
    return do.AcceptCertificate(certificate.id), [certificate.creditor]


@order(do.RefuseCertificate, offered)
def refuse(town: Town, certificate: Certificate, choose: Choices) -> Any:
    late = town.today > certificate.offered_until
    by = choose.one((certificate.issuer, "operator")) if late else certificate.creditor
    return do.RefuseCertificate(certificate.id), [by]


# --- lots that change hands
Held = tuple[Certificate, Lot]
"""A lot with its certificate."""


def lots(town: Town) -> list[Held]:
    """Lots of accepted certificates of which something is live."""
    return town.kept(_lots)


def _lots(town: Town) -> list[Held]:
    accepted = {each.id: each for each in town.all(Certificate) if each.accepted is not Absent}
    return [(accepted[lot.certificate], lot) for lot in town.all(Lot) if lot.certificate in accepted and lot.live_minor]


def unencumbered(town: Town) -> list[tuple[Certificate, Lot]]:
    """Lots that only their holder has a right to."""
    return [(certificate, lot) for certificate, lot in lots(town) if lot.encumbrance(town.today) == "none"]


def movable(town: Town) -> list[Lot]:
    """Lots that may still change hands."""
    return town.kept(_movable)


def _movable(town: Town) -> list[Lot]:
    before = [(certificate, lot) for certificate, lot in unencumbered(town) if certificate.dishonoured is Absent]
    return [lot for certificate, lot in before if town.today <= certificate.cut_off]


def some_units(town: Town, lot: Lot, choose: Choices) -> int:
    """Units of a lot, of which neither part is dust."""
    least = town.get(Certificate, lot.certificate).min_lot_minor
    most = lot.live_minor - least
    return choose.number(least, most) if least <= most and choose.either() else lot.live_minor


@order(do.OfferTransfer, movable, often=2)
def offer_transfer(town: Town, lot: Lot, choose: Choices) -> Any:
    to = choose.one(town.having(but=[lot.holder, town.get(Certificate, lot.certificate).issuer]))
    units = some_units(town, lot, choose)
    return do.OfferTransfer(lot.id, to, units, town.paper(), recourse=choose.either()), [lot.holder]


@order(do.OfferSale, movable)
def offer_sale(town: Town, lot: Lot, choose: Choices) -> Any:
    certificate = town.get(Certificate, lot.certificate)
    to = choose.one(town.having("factor", "lender", but=[lot.holder, certificate.issuer]))
    units, rate = some_units(town, lot, choose), do.Rate(choose.number(0, 1_200), 10_000)
    on = min(town.in_days(choose.number(0, 2)), certificate.cut_off)
    price = units - interest(units, rate, count_days(on, certificate.maturity, "act/360"), 360)
    return do.OfferSale(lot.id, to, units, price, rate, "act/360", on, recourse=choose.either()), [lot.holder]


def standing(town: Town, aim: str) -> list[Lot]:
    """Lots that are offered for this, while the offer holds and they may change hands."""
    held = [(certificate, lot) for certificate, lot in lots(town) if lot.offer is not Absent and lot.offer.aim == aim]
    return [
        lot for certificate, lot in held
        if lot.offer is not Absent and town.today <= min(lot.offer.until, certificate.cut_off)
    ]  # fmt: skip


def offer_of(lot: Lot) -> Any:
    """The offer of a lot that is known to have one."""
    assert lot.offer is not Absent
    return lot.offer


@order(do.AcceptTransfer, lambda town: standing(town, "transfer"), often=2)
def accept_transfer(town: Town, lot: Lot, choose: Choices) -> Any:
    return do.AcceptTransfer(lot.id), [offer_of(lot).to]


@order(do.AcceptSale, lambda town: [lot for lot in standing(town, "sale") if offer_of(lot).accepted is Absent])
def accept_sale(town: Town, lot: Lot, choose: Choices) -> Any:
    return do.AcceptSale(lot.id), [offer_of(lot).to]


def sold(town: Town) -> list[Lot]:
    """Lots whose price can be paid: its day has come, and was not before the sale was accepted."""
    accepted = [lot for lot in standing(town, "sale") if offer_of(lot).accepted is not Absent]
    return [lot for lot in accepted if offer_of(lot).accepted <= offer_of(lot).on <= town.today]


@order(do.SettleSale, sold)
def settle_sale(town: Town, lot: Lot, choose: Choices) -> Any:
    offer = offer_of(lot)
    by = choose.one((lot.holder, town.get(Certificate, lot.certificate).bank))
    return do.SettleSale(lot.id, offer.price_minor, *town.entry(), offer.on), [by]


def withdrawable(town: Town) -> list[Lot]:
    offered = [lot for _, lot in lots(town) if lot.offer is not Absent]
    return [lot for lot in offered if offer_of(lot).aim != "issue" and offer_of(lot).accepted is Absent]


@order(do.WithdrawOffer, withdrawable)
def withdraw(town: Town, lot: Lot, choose: Choices) -> Any:
    return do.WithdrawOffer(lot.id), [choose.one((lot.holder, offer_of(lot).to))]


def taken(town: Town) -> list[Lot]:
    """Lots whose transfer can be undone."""
    month = (town.today.year, town.today.month)
    fresh = [lot for lot in movable(town) if lot.source is not Absent and lot.first == lot.start]
    return [lot for lot in fresh if lot.taken is not Absent and (lot.taken.year, lot.taken.month) == month]


@order(do.ReverseTransfer, taken)
def reverse_transfer(town: Town, lot: Lot, choose: Choices) -> Any:
    assert lot.source is not Absent
    return do.ReverseTransfer(lot.id), [lot.holder, lot.source]


def returnable(town: Town) -> list[tuple[Lot, str, Any]]:
    """Lots with a party that may have to take them back, and why."""
    found: list[tuple[Lot, str, Any]] = []
    for certificate, lot in unencumbered(town):
        found += [(lot, lot.source, "warranty")] if lot.source is not Absent else []
        if certificate.dishonoured is not Absent:
            found += [(lot, party, "recourse") for party in lot.recourse if party != lot.holder]
    return found


@order(do.BuyBackLot, returnable)
def buy_back(town: Town, about: tuple[Lot, str, Any], choose: Choices) -> Any:
    lot, by, grounds = about
    evidence = town.paper() if grounds == "warranty" else Absent
    back = do.BuyBackLot(lot.id, by, choose.some(lot.live_minor), grounds, *town.entry(), evidence)
    return back, [lot.holder, by]


@order(do.WaiveLot, lambda town: [lot for each, lot in unencumbered(town) if each.maturity <= town.today])
def waive(town: Town, lot: Lot, choose: Choices) -> Any:
    return do.WaiveLot(lot.id), [lot.holder]


@order(do.WriteOffLot, lambda town: [lot for _, lot in lots(town) if lot.rank != "none" and lot.written_off is Absent])
def write_off_lot(town: Town, lot: Lot, choose: Choices) -> Any:
    return do.WriteOffLot(lot.id, town.paper()), [lot.holder]


def untouched(town: Town) -> list[tuple[Certificate, list[Lot]]]:
    """Certificates that can be called off, with their lots."""
    found = []
    for certificate in (each for each in town.all(Certificate) if each.status == "active"):
        own = [lot for each, lot in lots(town) if each.id == certificate.id]
        found += [(certificate, own)] if all(lot.encumbrance(town.today) == "none" for lot in own) else []
    return found


@order(do.CancelCertificate, untouched)
def call_off(town: Town, about: tuple[Certificate, list[Lot]], choose: Choices) -> Any:
    certificate, own = about
    return do.CancelCertificate(certificate.id), [certificate.issuer, *(lot.holder for lot in own)]


# --- the day of payment
def payable(town: Town) -> list[Certificate]:
    near = town.in_days(BELIEVED_DAYS)
    owed = [each for each in town.all(Certificate) if each.accepted is not Absent and each.live_minor]
    return [each for each in owed if each.maturity <= near]


@order(do.PayCertificate, payable)
def pay(town: Town, certificate: Certificate, choose: Choices) -> Any:
    """Some of what is owed, all of it, or a little too much."""
    live = certificate.live_minor
    amount = choose.one((choose.number(1, live), choose.number(1, live), live, live + 7))
    return do.PayCertificate(certificate.id, amount, *town.entry()), [certificate.bank]


def early(town: Town) -> list[tuple[Certificate, Lot]]:
    """Lots that can still be paid for less."""
    before = [(each, lot) for each, lot in unencumbered(town) if town.today < each.payable]
    return [(each, lot) for each, lot in before if each.dishonoured is Absent]


@order(do.PayLotEarly, early)
def pay_early(town: Town, about: tuple[Certificate, Lot], choose: Choices) -> Any:
    certificate, lot = about
    return do.PayLotEarly(lot.id, choose.some(lot.live_minor), *town.entry()), [lot.holder, certificate.bank]


def unpaid(town: Town) -> list[tuple[Certificate, str]]:
    """Certificates whose day has come, with somebody who may state that they were not paid."""
    owed = [each for each in town.all(Certificate) if each.status in ("active", "part_paid")]
    due = [each for each in owed if each.maturity <= town.today]
    holders = [(each, lot.beneficiary) for each, lot in lots(town) if each in due and each.dishonour_from <= town.today]
    return [*((each, each.bank) for each in due), *holders]


@order(do.DishonourCertificate, unpaid, often=3)
def dishonour(town: Town, about: tuple[Certificate, str], choose: Choices) -> Any:
    certificate, by = about
    return do.DishonourCertificate(certificate.id, by), [by]
