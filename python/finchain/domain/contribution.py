"""Joint guarantors among themselves: who paid more than its share is paid back by who paid less.

Beneficiaries may ask any of them for all, so that the first to be asked bears most. They share it only where they
agreed to, by one document that all of them signed (Supreme People's Court 2020 No. 28, article 13); what the debtor or
a counter-guarantor has paid back is no loss, and is not shared.
"""

from __future__ import annotations

from datetime import date

import msgspec

from finchain.domain import guarantee as guarantees
from finchain.domain.arithmetic import share_pro_rata
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.certificate import Certificate, Lot, cut, lots_of
from finchain.domain.check import check_amount
from finchain.domain.compensation import peers_of
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Loan
from finchain.domain.party import require
from finchain.domain.rule import Absent, Book, Instruction, Optional, refuse, rule, up_to


class ContributeShare(Instruction, frozen=True, tag="guarantee.contribute"):
    """States that a guarantor paid its share to another that had paid more. Signed by both.

    With its money it takes over the units of a certificate that the other held for it.

    Attributes:
        id: The guarantee of the guarantor that pays.
        to: The guarantee of the guarantor that is paid.
    """

    id: str
    to: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


@rule(ContributeShare)
def _contribute(do: ContributeShare, book: Book) -> None:
    payer, payee = book.get(Guarantee, do.id, field="id"), book.get(Guarantee, do.to, field="to")
    require(book, "guarantee", payer.guarantor, field="guarantor")
    require(book, "guarantee", payee.guarantor, field="guarantor")
    check_amount("guarantee", do.amount_minor)
    owed = share_owed(book, payer, payee)
    if do.amount_minor > owed:
        refuse("guarantee.over_contribute", f"{payer.guarantor} owes {payee.guarantor} {owed}", rule="I-9",
               field="amount_minor", value=do.amount_minor,
               advice=up_to("state", owed, "who paid no more than its share gets nothing"),
               paid=payer.subrogated_minor, paid_by_other=payee.subrogated_minor)  # fmt: skip
    certified = payee.secures == "certificate"
    posted = book.get(Certificate, payee.debt).posted if certified else book.get(Loan, payee.debt).posted
    on = enter_fact(
        book, "guarantee", do, by=payee.guarantor, amount_minor=do.amount_minor, currency=payee.currency,
        last=None if posted is Absent else posted,
    )  # fmt: skip
    move_cash(book, payer.guarantor, payee.guarantor, do.amount_minor, payee.currency)
    if certified:
        _take_over_units(book, payer, payee, do.amount_minor)
        book.put(msgspec.structs.replace(book.get(Certificate, payee.debt), posted=on))
    guarantees.contribute(book, payer.id, payee.id, do.amount_minor, on)


def share_owed(book: Book, payer: Guarantee, payee: Guarantee) -> int:
    """What one guarantor owes another, of what neither debtor nor counter-guarantor has paid back.

    Those who signed one document bear it by rule P over their shares; a guarantor never pays more than its cap.

    Raises:
        Refused: `guarantee.no_contribution`, where they did not agree to share.
    """
    # Who still waits for its fee guarantees nothing yet, and has nothing to share.
    peers = [each for each in peers_of(book, payer) if each.effective is not Absent]
    together = [each for each in peers if each.document == payer.document]
    ids = [each.id for each in together]
    agreed = payer.document is not Absent and payer.sharing == "joint"
    if not agreed or payer.id == payee.id or payer.id not in ids or payee.id not in ids:
        refuse("guarantee.no_contribution", f"{payer.id} and {payee.id} share nothing", rule="I-9",
               field="to", value=payee.id, advice="name joint guarantees that state the same document")  # fmt: skip
    borne = [each.subrogated_minor for each in together]
    shares = share_pro_rata(sum(borne), [each.coverage_bp for each in together])
    mine, other = ids.index(payer.id), ids.index(payee.id)
    return max(0, min(shares[mine] - borne[mine], borne[other] - shares[other], payer.room_minor))


def _take_over_units(book: Book, payer: Guarantee, payee: Guarantee, amount_minor: int) -> None:
    """Gives one guarantor the lowest units that the other took over, for its money."""
    left = amount_minor
    for lot in [lot for lot in lots_of(book, payee.debt) if lot.guarantee == payee.id and lot.live_minor]:
        taken = min(left, lot.live_minor)
        if taken:
            _take_over(book, payer, lot, taken)
            left -= taken


def _take_over(book: Book, payer: Guarantee, lot: Lot, amount_minor: int) -> None:
    if amount_minor < lot.live_minor:
        # What was paid for the lot by guarantees stays with its upper part, as where a guarantor takes units over.
        lower, _ = cut(book, lot, amount_minor)
        lot = msgspec.structs.replace(lower, calls=())
    book.put(msgspec.structs.replace(lot, holder=payer.guarantor, guarantee=payer.id, written_off=Absent))
