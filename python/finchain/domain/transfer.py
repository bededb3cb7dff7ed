"""How lots change hands: in payment of a trade, or sold for cash against delivery.

Both are an offer by the holder and an acceptance, with the lot reserved between them, and a sale ends only when the
money has moved. After the cut-off before maturity no lot changes hands. Recourse is a term of each offer, and what was
not agreed does not bind: who transfers without recourse is out.
"""

from __future__ import annotations

from datetime import date

import msgspec

from finchain.calendar import DAYS_IN_YEAR, DayCount, discount_days
from finchain.domain.arithmetic import Rate, interest
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.certificate import RECOURSE_MAX, Aim, Certificate, Lot, Offer, checked_until, take_free
from finchain.domain.check import check_digest, check_rate
from finchain.domain.party import require, require_role
from finchain.domain.policy import check_open_month, first_value_date
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, refuse, rule


class OfferTransfer(Instruction, frozen=True, tag="certificate.offer_transfer"):
    """Offers the lower units of a lot in payment of a trade. Signed by the holder.

    Attributes:
        id: Id of the lot.
        amount_minor: How many of its units; the rest becomes a lot of its own.
        trade: SHA-256 of the trade that it pays for.
        recourse: Whether the holder will answer for the debtor.
        until: Last day for acceptance; absent for the policy's term.
    """

    id: str
    to: str
    amount_minor: int
    trade: str
    recourse: bool
    until: date | Optional = Absent


class AcceptTransfer(Instruction, frozen=True, tag="certificate.accept_transfer"):
    """Takes a lot that was offered in payment. Signed by whom it was offered to."""

    id: str


class ReverseTransfer(Instruction, frozen=True, tag="certificate.reverse_transfer"):
    """Undoes a transfer in payment that was an error. Signed by the holder and by who transferred the lot.

    Only within the month, and only while nothing has come of it: what was pledged, offered or paid since stands.
    """

    id: str


class WithdrawOffer(Instruction, frozen=True, tag="certificate.withdraw_offer"):
    """Ends an offer of a lot that nobody has accepted. Signed by the holder, or by whom it was offered to."""

    id: str


class OfferSale(Instruction, frozen=True, tag="certificate.offer_sale"):
    """Offers the lower units of a lot for cash. Signed by the holder.

    Attributes:
        id: Id of the lot.
        price_minor: Face less discount; stated, so that nobody signs a price that they have not seen.
        discount_rate: Rate per year of the discount, over the days from `on` to maturity.
        on: The day on which the buyer pays.
        extends_days: Whether those days go on to the business day to which maturity is moved; needed where it is.
        recourse: Whether the seller will answer for the debtor.
        until: Last day for acceptance and money; absent for the policy's term.
    """

    id: str
    to: str
    amount_minor: int
    price_minor: int
    discount_rate: Rate
    day_count: DayCount
    on: date
    recourse: bool
    until: date | Optional = Absent
    extends_days: bool | Optional = Absent


class AcceptSale(Instruction, frozen=True, tag="certificate.accept_sale"):
    """Agrees to buy a lot that was offered for cash. Signed by whom it was offered to."""

    id: str


class SettleSale(Instruction, frozen=True, tag="certificate.settle_sale"):
    """States that the price was paid, and moves the lot with it.

    Signed by the certificate's settlement bank, or by the seller, who would be the one to lose.
    """

    id: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


@rule(OfferTransfer)
def _offer_transfer(do: OfferTransfer, book: Book) -> None:
    check_digest("certificate", do.trade, "trade")
    certificate, lot = _lot_to_give(do.id, do.to, do.amount_minor, book)
    until = checked_until(book, do.until, last=certificate.cut_off)
    book.put(msgspec.structs.replace(lot, offer=Offer(do.to, until, "transfer", do.recourse, trade=do.trade)))


@rule(AcceptTransfer)
def _accept_transfer(do: AcceptTransfer, book: Book) -> None:
    lot, offer = _standing_offer(do.id, "transfer", book)
    require(book, "certificate", offer.to, field="to")
    _hand_over(lot, offer, book, taken=book.today)


@rule(ReverseTransfer)
def _reverse_transfer(do: ReverseTransfer, book: Book) -> None:
    lot = book.get(Lot, do.id)
    if lot.taken is Absent or lot.source is Absent:
        refuse("certificate.bad_state", f"{lot.holder} did not take {lot.id} in payment", rule="reversals",
               field="id", value=do.id, advice="name a lot that was transferred; sales are bought back")  # fmt: skip
    require(book, "certificate", lot.holder, field="holder")
    require(book, "certificate", lot.source, field="source")
    encumbrance = lot.encumbrance(book.today)
    if encumbrance != "none" or lot.first != lot.start or lot.rank != "none":
        refuse("certificate.depends", f"{lot.id} is {encumbrance}, paid in part or dishonoured since", field="id",
               value=do.id, rule="reversals",
               advice=f"{NONE}: what was paid or dishonoured stays" if lot.first != lot.start or lot.rank != "none"
               else "let the pledge be released, or the offer end, first",
               live=lot.live_minor)  # fmt: skip
    check_open_month(book, "certificate", lot.taken, lot.id)
    _check_cut_off(book.get(Certificate, lot.certificate), book)
    chain = lot.recourse[: lot.recourse.index(lot.source)] if lot.source in lot.recourse else lot.recourse
    book.put(
        msgspec.structs.replace(
            lot, holder=lot.source, source=Absent, taken=Absent, hop=lot.hop - 1, recourse=chain, offer=Absent
        )
    )  # fmt: skip


@rule(WithdrawOffer)
def _withdraw(do: WithdrawOffer, book: Book) -> None:
    lot = book.get(Lot, do.id, field="id")
    offer = lot.offer
    if offer is Absent or offer.aim == "issue" or offer.accepted is not Absent:
        refuse("certificate.bad_state", f"{do.id} has no offer that can be withdrawn", field="id", value=do.id,
               advice=f"{NONE}: an accepted sale ends with its last day, an issued certificate is refused")  # fmt: skip
    require(book, "certificate", offer.to if offer.to in book.by else lot.holder, field="holder")
    book.put(msgspec.structs.replace(lot, offer=Absent))


@rule(OfferSale)
def _offer_sale(do: OfferSale, book: Book) -> None:
    certificate, lot = _lot_to_give(do.id, do.to, do.amount_minor, book)
    require_role(book, "certificate", do.to, role=("factor", "lender"), field="to")
    until = checked_until(book, do.until, last=certificate.cut_off)
    if not book.today <= do.on <= until:
        refuse("certificate.date", f"the price cannot be paid on {do.on}", field="on", value=str(do.on),
               advice=f"state a date from {book.today} to {until}")  # fmt: skip
    check_rate("certificate", do.discount_rate, "discount_rate")
    days = _days_of_discount(do, certificate)
    discount = interest(do.amount_minor, do.discount_rate, days, DAYS_IN_YEAR[do.day_count])
    price = do.amount_minor - discount
    if price < 1 or do.price_minor != price:
        refuse(
            "certificate.price", f"{do.amount_minor} less the discount of {discount} is {price}", rule="discount",
            field="price_minor", value=do.price_minor, advice=f"state {price}" if price > 0 else "state a lower rate",
            rate=str(do.discount_rate), days=days,
        )  # fmt: skip
    offer = Offer(do.to, until, "sale", do.recourse, price_minor=do.price_minor, on=do.on)
    book.put(msgspec.structs.replace(lot, offer=offer))


@rule(AcceptSale)
def _accept_sale(do: AcceptSale, book: Book) -> None:
    lot, offer = _standing_offer(do.id, "sale", book)
    require(book, "certificate", offer.to, field="to")
    if offer.accepted is not Absent:
        refuse("certificate.bad_state", f"{offer.to} accepted on {offer.accepted}", field="id", value=do.id,
               advice=f"{NONE}: it is accepted once; let the bank state the payment")  # fmt: skip
    book.put(msgspec.structs.replace(lot, offer=msgspec.structs.replace(offer, accepted=book.today)))


@rule(SettleSale)
def _settle_sale(do: SettleSale, book: Book) -> None:
    lot, offer = _standing_offer(do.id, "sale", book)
    certificate = book.get(Certificate, lot.certificate)
    if lot.holder in book.by:
        by = require(book, "certificate", lot.holder, field="holder", service_ok=True).id
    else:
        by = require(book, "certificate", certificate.bank, role="settlement_bank", field="bank").id
    if offer.accepted is Absent:
        refuse("certificate.bad_state", f"{offer.to} has not accepted", field="id", value=do.id,
               advice=f"let {offer.to} accept the sale first")  # fmt: skip
    if do.amount_minor != offer.price_minor:
        refuse("certificate.price", f"the price is {offer.price_minor}", field="amount_minor", value=do.amount_minor,
               advice=f"state {offer.price_minor}")  # fmt: skip
    on = enter_fact(
        book, "certificate", do, by=by, amount_minor=do.amount_minor, currency=certificate.currency,
        last=offer.accepted,
    )  # fmt: skip
    if on != offer.on:
        refuse("certificate.value_date", f"the price was worked out for {offer.on}", field="value_date", value=str(on),
               advice=_advice_on_price_day(offer, book))  # fmt: skip
    move_cash(book, offer.to, lot.holder, do.amount_minor, certificate.currency)
    _hand_over(lot, offer, book)


def _advice_on_price_day(offer: Offer, book: Book) -> str:
    """When the price of an accepted sale can be paid: on the day for which it was worked out, if that may be stated."""
    assert offer.on is not Absent and offer.accepted is not Absent
    if offer.on > book.today:
        return f"wait until {offer.on}, or agree a new price"
    first = first_value_date(book, offer.accepted)
    return f"state {offer.on}" if offer.on >= first else f"{NONE}: it is over; agree a new price after {offer.until}"


def _days_of_discount(do: OfferSale, certificate: Certificate) -> int:
    """Days from the payment of the price to maturity, or to the business day to which that is moved."""
    if certificate.shifted is not Absent and do.extends_days is Absent:
        refuse(
            "certificate.days", f"{certificate.id} is due on {certificate.maturity}, paid on {certificate.payable}",
            rule="discount", field="extends_days",
            advice="state whether the discount is for the days up to the day of payment, or to maturity only",
            calendar=str(certificate.calendar), calendar_version=str(certificate.calendar_version),
        )  # fmt: skip
    extends = do.extends_days is True
    return discount_days(do.on, certificate.maturity, certificate.payable, do.day_count, extends=extends)


def _lot_to_give(id: str, to: str, amount_minor: int, book: Book) -> tuple[Certificate, Lot]:
    certificate, lot = take_free(book, id, amount_minor)
    require_role(book, "certificate", to, field="to")
    if to in (lot.holder, certificate.issuer):
        refuse("certificate.wrong_role", f"{to} is the holder or the debtor", rule="both sides", field="to",
               value=to, advice="name a third party")  # fmt: skip
    _check_cut_off(certificate, book)
    return certificate, lot


def _check_cut_off(certificate: Certificate, book: Book) -> None:
    if book.today > certificate.cut_off:
        refuse("certificate.cut_off", f"lots of {certificate.id} changed hands until {certificate.cut_off}",
               rule="cut-off", field="id", value=certificate.id,
               advice=f"{NONE}: the payment is due on {certificate.payable}")  # fmt: skip


def _standing_offer(id: str, aim: Aim, book: Book) -> tuple[Lot, Offer]:
    """The lot and the offer that stands on it for this aim."""
    lot = book.get(Lot, id, field="id")
    offer = lot.offer
    if offer is Absent or offer.aim != aim:
        refuse("certificate.bad_state", f"no {aim} of {id} is offered", field="id", value=id,
               advice=f"let {lot.holder} offer it first")  # fmt: skip
    if book.today > offer.until:
        refuse("certificate.expired", f"the offer of {id} ended on {offer.until}", field="id", value=id,
               advice=f"ask {lot.holder} for a new one")  # fmt: skip
    _check_cut_off(book.get(Certificate, lot.certificate), book)
    return lot, offer


def _hand_over(lot: Lot, offer: Offer, book: Book, *, taken: date | Optional = Absent) -> None:
    """Moves an offered lot, whose former holder stays liable only where that was agreed."""
    chain = (*lot.recourse, lot.holder) if offer.recourse else lot.recourse
    if len(chain) > RECOURSE_MAX:
        refuse("certificate.recourse", f"{len(lot.recourse)} parties answer for {lot.id}", field="id", value=lot.id,
               advice=f"transfer it without recourse; {RECOURSE_MAX} are the most")  # fmt: skip
    book.put(
        msgspec.structs.replace(
            lot, holder=offer.to, source=lot.holder, taken=taken, hop=lot.hop + 1, recourse=chain, offer=Absent
        )
    )  # fmt: skip
