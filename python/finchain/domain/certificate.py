"""Certificates: a debtor's promise to pay a sum on one day, made out of confirmed claims and owned in lots.

The units of a certificate are numbered from 1 to its amount, and a lot is an interval of them. Lots never overlap and
leave no gap, so no unit has two owners, and a split is a cut between two numbers. A lot that is offered or pledged
cannot be offered or pledged again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import ClassVar, Final, Literal

import msgspec

from finchain.calendar import Shift, add_days, add_months, exceeds_months
from finchain.domain.capacity import end_issued, issue
from finchain.domain.check import check_amount, check_identifier
from finchain.domain.guarantee import Call, Calls, call_under, check_offered, check_together, take_effect
from finchain.domain.holiday import check_shift, days_from, newest, payable_on
from finchain.domain.party import Party, require, require_role
from finchain.domain.policy import in_force
from finchain.domain.receivable import Receivable, check_enough, claim_of, move
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, Record, from_to, record, refuse, rule, up_to
from finchain.money import format_minor

Discharge = Literal["pro_soluto", "pro_solvendo"]
Aim = Literal["issue", "transfer", "sale"]
Rank = Literal["none", "senior", "junior", "last"]
"""Who is paid first after a default: `senior` before what a guarantor took over, that before what its own guarantor
took over from it. Until a default there is one rank, `none`."""

Encumbrance = Literal["none", "reserved", "pledged"]
Status = Literal["offered", "active", "part_paid", "dishonoured", "paid", "cancelled"]

CLAIMS_MAX: Final = 64
"""Claims under one certificate: at about 110 bytes each they leave room in a record of 16,384 bytes."""

RECOURSE_MAX: Final = 100
"""Names in a lot's recourse chain, for the same reason."""


class ClaimShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a claim a certificate is made of. The claims cover the units in their order, the first from 1 on."""

    receivable: str
    amount_minor: int


@record
class Certificate(Record, frozen=True, kw_only=True):
    """The whole of a debtor's promise; who holds it stands in its lots.

    Attributes:
        issuer: The debtor.
        creditor: Who was offered it first.
        bank: The settlement bank, which states the debtor's payments.
        issued: Date of issue, from which the tenor counts.
        maturity: The day that was agreed; what falls due then is paid on `payable`.
        calendar: Calendar whose business days its deadlines count, in the version `calendar_version`.
        shift: How maturity is moved to a business day of that calendar.
        shifted: The business day to which it is moved; absent where it is `maturity` itself.
        discharge: `pro_solvendo`: the claims are paid only when the certificate is; `pro_soluto`: at acceptance.
        guarantees: Ids of the guarantees that cover it.
        offered_until: Last day on which the creditor may accept.
        min_lot_minor: Smallest lot that a split may leave, as the policy was at issue.
        cut_off: Last day on which a lot may change hands, as the policy was at issue.
        dishonour_from: The day from which any holder may state that it was not paid, as the policy was at issue.
        lots_max: Live lots that it may have, as the policy was at issue.
        lots: How many live lots it has. The first lot starts at unit 1, and each names the next.
        posted: Value date of the last payment, of the debtor or of a guarantor.
        suspense_minor: What the debtor paid too much and the settlement bank keeps for it.
        dishonoured: The day on which it was stated that the debtor had not paid, and `shortfall_minor` what.
        rulebook: Number of the rulebook that it was signed under: its terms stay those of that rulebook.
    """

    kind: ClassVar[str] = "certificate"

    rulebook: int
    issuer: str
    creditor: str
    bank: str
    currency: str
    issued: date
    maturity: date
    claims: tuple[ClaimShare, ...]
    discharge: Discharge
    offered_until: date
    min_lot_minor: int
    cut_off: date
    dishonour_from: date
    lots_max: int
    lots: int
    amount_minor: int
    # I-4: amount = live + settled + cancelled, and live is the sum of the live lots.
    live_minor: int
    settled_minor: int = 0
    cancelled_minor: int = 0
    suspense_minor: int = 0
    guarantees: tuple[str, ...] = ()
    calendar: str | Optional = Absent
    calendar_version: int | Optional = Absent
    shift: Shift | Optional = Absent
    shifted: date | Optional = Absent
    accepted: date | Optional = Absent
    posted: date | Optional = Absent
    dishonoured: date | Optional = Absent
    shortfall_minor: int = 0

    @property
    def payable(self) -> date:
        """The day on which the debtor is to pay."""
        return self.maturity if self.shifted is Absent else self.shifted

    @property
    def status(self) -> Status:
        """Where the certificate stands, read off its buckets."""
        if self.cancelled_minor == self.amount_minor:
            return "cancelled"
        if self.accepted is Absent:
            return "offered"
        if self.live_minor == 0:
            return "paid"
        if self.dishonoured is not Absent:
            return "dishonoured"
        return "part_paid" if self.settled_minor else "active"

    def __str__(self) -> str:
        live = format_minor(self.live_minor, self.currency)
        return f"{self.id} {self.status.replace('_', ' ')}: {live} {self.currency} due {self.payable}"


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reservation of a lot for somebody; over with `until`, without anybody having to say so.

    Attributes:
        to: Who may accept.
        until: The last day on which it holds.
        recourse: Whether the holder answers for the debtor towards `to`.
        trade: SHA-256 of the trade that a transfer pays for.
        price_minor: Price of a sale, which is due on `on`.
        accepted: The day on which the buyer of a sale accepted.
    """

    to: str
    until: date
    aim: Aim
    recourse: bool
    trade: str | Optional = Absent
    price_minor: int | Optional = Absent
    on: date | Optional = Absent
    accepted: date | Optional = Absent


class Pledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pledge of a lot.

    Attributes:
        to: The pledgee.
        loan: Id of the loan that it secures.
        registration: Number of the entry in the public register, made on `registered`.
        description: SHA-256 of the description of the collateral in that entry.
    """

    to: str
    loan: str
    registration: str
    registered: date
    description: str


@record
class Lot(Record, frozen=True, kw_only=True):
    """An interval of a certificate's units with one holder, one encumbrance and one rank (I-5).

    Its id is the certificate's and the unit at which it began. A split leaves the lower units under the old id, and a
    payment settles the lowest units first without a change of id, so an id is never used again.

    Attributes:
        start: The unit at which it began.
        first: Its first live unit; the units from `start` up to it were settled.
        last: Its last unit; below `first` where nothing is live.
        next: The `start` of the lot above it, or absent in the highest.
        hop: How often it changed hands after issue.
        source: Who transferred it to the holder, and can take it back where it was not what it seemed.
        taken: The day on which the holder took it in payment of a trade, which can be undone within the month.
        recourse: Those who answer for the debtor towards the holder, the earliest first.
        rank: After a default: whether it is paid before the guarantor's lots, or is one of them.
        guarantee: Of a lot that a guarantor took over: under which guarantee.
        calls: What was demanded and paid for it under guarantees; a lot that was paid out in part keeps them with
            the part that its holder still owns.
        waived_minor: Its uppermost units, where the holder has forgiven them to the debtor.
        written_off: The day on which the holder took it out of its books; the debtor owes it all the same.
    """

    kind: ClassVar[str] = "lot"

    certificate: str
    start: int
    first: int
    last: int
    holder: str
    hop: int = 0
    rank: Rank = "none"
    source: str | Optional = Absent
    taken: date | Optional = Absent
    recourse: tuple[str, ...] = ()
    waived_minor: int = 0
    guarantee: str | Optional = Absent
    calls: Calls = ()
    next: int | Optional = Absent
    written_off: date | Optional = Absent
    offer: Offer | Optional = Absent
    pledge: Pledge | Optional = Absent

    @property
    def live_minor(self) -> int:
        """The units that are neither settled nor cancelled."""
        return self.last - self.first + 1

    @property
    def beneficiary(self) -> str:
        """Who may claim what is due on it: the pledgee of a pledged lot, else the holder."""
        return self.holder if self.pledge is Absent else self.pledge.to

    def call(self, guarantee: str) -> Call:
        """What was demanded and paid under a guarantee, which may be nothing yet."""
        return call_under(self.calls, guarantee)

    def encumbrance(self, today: date) -> Encumbrance:
        """What keeps the holder from disposing of it: an expired offer no longer does."""
        if self.pledge is not Absent:
            return "pledged"
        return "reserved" if self.offer is not Absent and today <= self.offer.until else "none"

    def __str__(self) -> str:
        to = "" if self.pledge is Absent else f", pledged to {self.pledge.to}"
        recourse = f", recourse to {', '.join(self.recourse)}" if self.recourse else ", without recourse"
        return f"{self.certificate} [{self.first}..{self.last}] of {self.holder}{to}{recourse}"


class IssueCertificate(Instruction, frozen=True, tag="certificate.issue"):
    """Promises to pay on a day, in the place of confirmed claims. Signed by the debtor.

    With it the debtor accepts every transfer and pledge that the ledger will record as notice to itself.

    Attributes:
        creditor: Creditor of the claims, who may accept.
        claims: What it is made of; the shares sum to `amount_minor`.
        until: Last day for acceptance; absent for the policy's term.
        guarantees: Ids of guarantees that were offered for this certificate.
        calendar: Calendar whose business days cut-off and dishonour count; calendar days where absent.
        shift: How maturity is moved to a business day of the calendar; not at all where absent.
    """

    id: str
    issuer: str
    creditor: str
    amount_minor: int
    currency: str
    maturity: date
    claims: list[ClaimShare]
    bank: str
    discharge: Discharge
    guarantees: list[str] | Optional = Absent
    until: date | Optional = Absent
    calendar: str | Optional = Absent
    shift: Shift | Optional = Absent


class AcceptCertificate(Instruction, frozen=True, tag="certificate.accept"):
    """Takes the certificate, and with it the guarantee, in the place of the claims. Signed by the creditor."""

    id: str


class RefuseCertificate(Instruction, frozen=True, tag="certificate.refuse"):
    """Ends an offered certificate and frees its claims. Signed by the creditor.

    After the last day for acceptance the issuer or the operator may sign it too.
    """

    id: str


@rule(IssueCertificate)
def _issue(do: IssueCertificate, book: Book) -> None:
    check_identifier("certificate", do.id)
    if book.find(Certificate, do.id) is not None:
        refuse("certificate.duplicate", f"there is a certificate {do.id} already", field="id", value=do.id,
               advice="choose another id")  # fmt: skip
    require(book, "certificate", do.issuer, role="debtor", field="issuer")
    require_role(book, "certificate", do.creditor, role="supplier", field="creditor")
    require_role(book, "certificate", do.bank, role="settlement_bank", field="bank")
    check_amount("certificate", do.amount_minor)
    policy = in_force(book)
    if do.shift is not Absent:
        check_shift("certificate", do.calendar, do.shift)
    payable = payable_on(book, do.maturity, do.calendar, do.shift)
    _check_tenor(do, payable, book)
    until = checked_until(book, do.until, last=add_days(min(do.maturity, payable), -1))
    _convert_claims(do, book)
    issue(book, do.issuer, do.currency, do.amount_minor)
    guarantees = () if do.guarantees is Absent else tuple(do.guarantees)
    check_together(book, guarantees)
    for guarantee in guarantees:
        check_offered(book, guarantee, secures="certificate", debt=do.id, debtor=do.issuer,
                      creditor=do.creditor, currency=do.currency, due=payable)  # fmt: skip
    book.put(
        Certificate(
            id=do.id, rulebook=book.rulebook,
            issuer=do.issuer, creditor=do.creditor, bank=do.bank, currency=do.currency, issued=book.today,
            maturity=do.maturity, claims=tuple(do.claims), discharge=do.discharge, offered_until=until,
            min_lot_minor=policy.min_lot_minor,
            cut_off=days_from(book, payable, -policy.cut_off_days, do.calendar),
            dishonour_from=days_from(book, payable, policy.dishonour_days, do.calendar), lots_max=policy.lots_max,
            lots=1, amount_minor=do.amount_minor, live_minor=do.amount_minor, guarantees=guarantees,
            calendar=do.calendar, shift=do.shift, shifted=Absent if payable == do.maturity else payable,
            calendar_version=Absent if do.calendar is Absent else newest(book, do.calendar),
        )
    )  # fmt: skip
    # Until the creditor accepts, the issuer holds the promise that it makes.
    book.put(
        Lot(
            id=lot_id(do.id, 1), certificate=do.id, start=1, first=1, last=do.amount_minor, holder=do.issuer,
            offer=Offer(do.creditor, until, "issue", recourse=False),
        )
    )  # fmt: skip


def _check_tenor(do: IssueCertificate, payable: date, book: Book) -> None:
    policy = in_force(book)
    too_early = min(do.maturity, payable) <= book.today
    if too_early or exceeds_months(book.today, do.maturity, policy.tenor_max_months):
        # A day whose business day is today or before is as much too early as the day before it.
        first = add_days(max(book.today, do.maturity) if too_early else book.today, 1)
        last = add_months(book.today, policy.tenor_max_months)
        refuse(
            "certificate.tenor", f"from {book.today} to {do.maturity} is no tenor of a certificate",
            rule="tenor", field="maturity", value=str(do.maturity),
            advice=from_to(first, last, f"{NONE}: no business day is in the longest tenor"),
        )  # fmt: skip
    if exceeds_months(book.today, do.maturity, policy.tenor_warn_months):
        book.note(f"certificate {do.id} runs for more than {policy.tenor_warn_months} months")


def _convert_claims(do: IssueCertificate, book: Book) -> None:
    if not 1 <= len(do.claims) <= CLAIMS_MAX:
        refuse("certificate.claims", f"it is made of {len(do.claims)} claims", field="claims", value=len(do.claims),
               advice=f"name 1 to {CLAIMS_MAX} claims")  # fmt: skip
    for share in do.claims:
        check_amount("certificate", share.amount_minor, "claims")
        claim = claim_of(book, share.receivable, field="claims")
        sides = (claim.creditor, claim.debtor, claim.currency)
        if sides != (do.creditor, do.issuer, do.currency):
            refuse("certificate.other_claim", f"{claim.id} is of {', '.join(sides)}", field="claims", value=claim.id,
                   advice=f"name claims of {do.creditor} on {do.issuer} in {do.currency}")  # fmt: skip
        check_enough(claim, "free", share.amount_minor, field="claims")
        book.put(move(claim, share.amount_minor, "free", "converted"))
    whole = sum(share.amount_minor for share in do.claims)
    if whole != do.amount_minor:
        refuse("certificate.claims", f"the claims give {whole}", rule="I-6", field="amount_minor",
               value=do.amount_minor, advice=f"issue {whole}, or change the shares")  # fmt: skip


@rule(AcceptCertificate)
def _accept(do: AcceptCertificate, book: Book) -> None:
    certificate = _offered(do.id, book)
    require(book, "certificate", certificate.creditor, field="creditor")
    if book.today > certificate.offered_until:
        refuse("certificate.expired", f"{do.id} could be accepted until {certificate.offered_until}", field="id",
               value=do.id, advice="let this one be refused, and ask the issuer for a new one")  # fmt: skip
    for id in certificate.guarantees:
        guarantee = check_offered(
            book, id, secures="certificate", debt=do.id, debtor=certificate.issuer, creditor=certificate.creditor,
            currency=certificate.currency, due=certificate.payable,
        )  # fmt: skip
        take_effect(book, guarantee, certificate.amount_minor, certificate.maturity)
    lot = book.get(Lot, lot_id(do.id, 1))
    book.put(msgspec.structs.replace(lot, holder=certificate.creditor, offer=Absent))
    book.put(msgspec.structs.replace(certificate, accepted=book.today))


@rule(RefuseCertificate)
def _refuse(do: RefuseCertificate, book: Book) -> None:
    certificate = _offered(do.id, book)
    if book.today <= certificate.offered_until or certificate.creditor in book.by:
        require(book, "certificate", certificate.creditor, field="creditor")
    elif certificate.issuer not in book.by:
        _require_operator(book)
    for share in certificate.claims:
        claim = book.get(Receivable, share.receivable)
        book.put(move(claim, share.amount_minor, "converted", "free"))
    lot = book.get(Lot, lot_id(do.id, 1))
    book.put(msgspec.structs.replace(lot, last=0, offer=Absent))
    book.put(
        msgspec.structs.replace(certificate, live_minor=0, cancelled_minor=certificate.amount_minor, lots=0)
    )  # fmt: skip
    end_issued(book, certificate.issuer, certificate.currency, certificate.amount_minor)


def _offered(id: str, book: Book) -> Certificate:
    certificate = book.get(Certificate, id, field="id")
    if certificate.status != "offered":
        refuse("certificate.bad_state", f"{id} is {certificate.status.replace('_', ' ')}", field="id", value=id,
               advice=f"{NONE}: only an offered certificate is accepted or refused")  # fmt: skip
    return certificate


def _require_operator(book: Book) -> None:
    if not any("operator" in book.get(Party, party).roles for party in sorted(book.by)):
        refuse("certificate.not_signed", "neither the creditor, the issuer nor the operator has signed", field="by",
               advice="let one of them sign")  # fmt: skip


def checked_until(book: Book, until: date | Optional, *, last: date) -> date:
    """The last day of an offer: as stated, or by the policy, but not after `last`.

    Raises:
        Refused: `certificate.date`.
    """
    day = min(add_days(book.today, in_force(book).offer_days), last) if until is Absent else until
    if not book.today <= day <= last:
        refuse("certificate.date", f"an offer cannot end on {day}", field="until", value=str(day),
               advice=f"state a date from {book.today} to {last}")  # fmt: skip
    return day


def lot_id(certificate: str, start: int) -> str:
    """The id of the lot that began at a unit, for example `CERT-1 36000001`."""
    return f"{certificate} {start}"


def lots_of(book: Book, certificate: str) -> Iterator[Lot]:
    """All lots of a certificate, by rising units; those that nothing is live of included."""
    start: int | Optional = 1
    while start is not Absent:
        lot = book.get(Lot, lot_id(certificate, start))
        yield lot
        start = lot.next


def take_free(book: Book, id: str, amount_minor: int) -> tuple[Certificate, Lot]:
    """Cuts the lower units off a free lot, and gives them with their certificate; the holder must have signed.

    Args:
        book: What the rule reads, and where both parts are written.
        id: Id of the lot.
        amount_minor: How many units; where it is the whole lot nothing is cut.

    Raises:
        Refused: `certificate.not_signed`, `certificate.bad_state`, `certificate.amount`,
            `certificate.insufficient_free`, `certificate.dust` or `certificate.lots`.
    """
    lot = book.get(Lot, id, field="id")
    certificate = book.get(Certificate, lot.certificate)
    require(book, "certificate", lot.holder, field="holder")
    if certificate.status not in ("active", "part_paid"):
        refuse("certificate.bad_state", f"{certificate.id} is {certificate.status}", field="id", value=id,
               advice=f"{NONE}: only lots of an accepted certificate that is not paid can be given away")  # fmt: skip
    check_amount("certificate", amount_minor)
    encumbrance = lot.encumbrance(book.today)
    if encumbrance != "none" or amount_minor > lot.live_minor:
        free = lot.live_minor if encumbrance == "none" else 0
        refuse(
            "certificate.insufficient_free", f"{free} units of {id} are free", rule="I-5",
            field="amount_minor", value=amount_minor, advice=up_to("state", free, "name a free lot"),
            live=lot.live_minor, encumbrance=encumbrance,
        )  # fmt: skip
    lot = msgspec.structs.replace(lot, offer=Absent)
    if amount_minor == lot.live_minor:
        book.put(lot)
        return certificate, lot
    _check_split(certificate, amount_minor, lot.live_minor - amount_minor)
    lower, _ = cut(book, lot, amount_minor)
    return book.get(Certificate, certificate.id), lower


def cut(book: Book, lot: Lot, amount_minor: int) -> tuple[Lot, Lot]:
    """Cuts a lot after its lowest live units, `0 < amount_minor < lot.live_minor`, and gives both parts, written."""
    at = lot.first + amount_minor
    lower = msgspec.structs.replace(lot, last=at - 1, next=at)
    upper = msgspec.structs.replace(lot, id=lot_id(lot.certificate, at), start=at, first=at)
    certificate = book.get(Certificate, lot.certificate)
    book.put(msgspec.structs.replace(certificate, lots=certificate.lots + 1))
    book.put(lower)
    book.put(upper)
    return lower, upper


def _check_split(certificate: Certificate, part: int, rest: int) -> None:
    least = certificate.min_lot_minor
    if part < least or rest < least:
        refuse(
            "certificate.dust", f"the split would leave {min(part, rest)}, less than a smallest lot",
            rule="splitting", field="amount_minor", value=part,
            advice=f"take the whole lot of {part + rest}"
            + (f", or {least} to {part + rest - least}" if part + rest >= 2 * least else ""),
            min_lot=least,
        )  # fmt: skip
    if certificate.lots >= certificate.lots_max:
        refuse("certificate.lots", f"{certificate.id} has {certificate.lots} live lots", rule="splitting",
               field="amount_minor", value=part,
               advice=f"take the whole lot of {part + rest}", lots_max=certificate.lots_max)  # fmt: skip
