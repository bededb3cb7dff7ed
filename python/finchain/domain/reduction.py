"""What makes a confirmed claim smaller without money: credit notes, set-off, write-off; and how they are reversed.

Each is signed by whoever loses by it: the creditor of its free part, the assignee of an assigned part, creditor and
pledgee of a pledged one. A certificate is never reduced here: what is credited after its issue the seller owes back.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Final, Literal

import msgspec

from finchain.calendar import add_days
from finchain.domain.check import check_amount, check_digest, check_identifier, check_not_future, check_reference
from finchain.domain.dilution import count
from finchain.domain.fingerprint import fingerprint_id, take_fingerprint
from finchain.domain.loan import note_shortfall
from finchain.domain.part import Part, give_back, part_of, require_owners, take_open
from finchain.domain.party import require
from finchain.domain.policy import check_open_month
from finchain.domain.receivable import Bucket, Receivable, claim_of, money_text, require_award
from finchain.domain.reference import payload_digest, refuse_duplicate, take_reference
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, Record, record, refuse, rule, up_to

Form = Literal["credit_note", "set_off", "write_off"]

_TARGETS: Final[dict[Form, Bucket]] = {"credit_note": "credited", "set_off": "setoff", "write_off": "written_off"}


class Counter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the other side owes the debtor.

    Attributes:
        digest: SHA-256 of the paper that it rests on; it names the counterclaim.
        amount_minor: All of it, in minor units of the claim's currency.
        arose: The day on which the debtor had it.
        due: When it is to be paid.
        contract: The contract on this ledger that it arose from.
    """

    digest: str
    amount_minor: int
    arose: date
    due: date
    contract: str | Optional = Absent


@record
class Counterclaim(Record, frozen=True, kw_only=True):
    """A counterclaim, once something was set off against it. Its id is `<debtor> <digest>`.

    Attributes:
        used_minor: What was set off against it and not reversed; never more than its amount.
    """

    kind: ClassVar[str] = "counterclaim"

    terms: Counter
    currency: str
    used_minor: int


@record
class Reduction(Record, frozen=True, kw_only=True):
    """One credit note, set-off or write-off.

    Attributes:
        part: The assigned or pledged part that became smaller; absent for the creditor's free part.
        paper: SHA-256 of the credit note, of the paper of the counterclaim, or of the evidence.
        signers: Who signed, and must sign again to reverse it.
        payload: Digest of the instruction.
        entered: The day on which the ledger got it.
        reversed: The day on which it was reversed.
        recovered_minor: Of a write-off: what the debtor has paid of it since.
    """

    kind: ClassVar[str] = "reduction"

    receivable: str
    form: Form
    amount_minor: int
    paper: str
    signers: tuple[str, ...]
    payload: str
    entered: date
    part: str | Optional = Absent
    reversed: date | Optional = Absent
    recovered_minor: int = 0

    @property
    def open_minor(self) -> int:
        """What of it stands: it was neither reversed nor, where it was written off, paid since."""
        return 0 if self.reversed is not Absent else self.amount_minor - self.recovered_minor


class CreditReceivable(Instruction, frozen=True, tag="receivable.credit"):
    """Takes back an amount by a credit note. Signed by the creditor, and by the holder where it lies in a part.

    Attributes:
        id: Id of the reduction.
        number: Number of the credit note, as printed; a creditor uses it once.
        digest: SHA-256 of the credit note.
        part: The assigned or pledged part; absent for the free part.
    """

    id: str
    receivable: str
    amount_minor: int
    number: str
    digest: str
    part: str | Optional = Absent


class CreditConverted(Instruction, frozen=True, tag="receivable.credit_converted"):
    """Credits what has become a certificate, which stays as it is: the creditor owes it back. Signed by the creditor.

    Attributes:
        id: Id of the new claim, of the debtor on the creditor; it is confirmed by this signature.
        receivable: The claim that was made into a certificate.
        number: Number of the credit note, as printed; a creditor uses it once.
        due: When the creditor is to pay.
    """

    id: str
    receivable: str
    amount_minor: int
    number: str
    due: date


class SetOffReceivable(Instruction, frozen=True, tag="receivable.set_off"):
    """Sets an amount off against a counterclaim. Signed by the debtor and whoever loses, or by an arbiter.

    Attributes:
        id: Id of the reduction.
        part: The assigned or pledged part; absent for the free part.
        arbiter: The court or arbitration commission that decided.
        award: SHA-256 of its award.
    """

    id: str
    receivable: str
    amount_minor: int
    counterclaim: Counter
    part: str | Optional = Absent
    arbiter: str | Optional = Absent
    award: str | Optional = Absent


class WriteOffReceivable(Instruction, frozen=True, tag="receivable.write_off"):
    """Gives an overdue amount up in the books; by law it is still owed. Signed by whoever loses.

    Attributes:
        id: Id of the reduction.
        digest: SHA-256 of the evidence.
        part: The assigned or pledged part; absent for the free part.
    """

    id: str
    receivable: str
    amount_minor: int
    reason: str
    digest: str
    part: str | Optional = Absent


class ReverseReduction(Instruction, frozen=True, tag="receivable.reverse"):
    """Takes a reduction back, in the month in which it was entered. Signed by those who signed it.

    Attributes:
        id: Id of the reduction.
    """

    id: str
    reason: str


@rule(CreditReceivable)
def _credit(do: CreditReceivable, book: Book) -> None:
    claim, part, payload = _begin(do, do.id, do.receivable, do.amount_minor, do.part, book)
    require(book, "receivable", claim.creditor, field="creditor")
    signers = tuple(sorted({claim.creditor, *require_owners(claim, part, book)}))
    check_digest("receivable", do.digest)
    take_reference(
        book, "receivable", by=claim.creditor, scheme="credit_note", reference=do.number, field="number",
        payload=payload, of=do.id,
    )  # fmt: skip
    _take(claim, part, do.amount_minor, "credited", book)
    count(book, claim.debtor, claim.currency, credited_minor=do.amount_minor)
    book.put(
        Reduction(
            id=do.id, receivable=claim.id, form="credit_note", amount_minor=do.amount_minor, paper=do.digest,
            signers=signers, payload=payload, entered=book.today, part=do.part,
        )
    )  # fmt: skip


@rule(CreditConverted)
def _credit_converted(do: CreditConverted, book: Book) -> None:
    check_identifier("receivable", do.id)
    payload = payload_digest(do)
    held = book.find(Receivable, do.id)
    if held is not None:
        refuse_duplicate("receivable", f"there is a claim {do.id} already", "id", do.id, payload, held.payload)
    claim = claim_of(book, do.receivable, field="receivable")
    require(book, "receivable", claim.creditor, field="creditor")
    check_amount("receivable", do.amount_minor)
    # Units that a holder has forgiven are in no certificate any more, whatever was credited for them before.
    most = max(0, claim.converted + claim.conv_settled - claim.owed_back)
    if do.amount_minor > most:
        refuse(
            "receivable.insufficient_converted", f"only {money_text(claim, most)} of {claim.id} are in certificates",
            rule="abstractness", field="amount_minor", value=do.amount_minor,
            advice=up_to("credit", most, "nothing is left there") + "; what is free takes a credit note of its own",
            owed_back=claim.owed_back,
        )  # fmt: skip
    take_reference(
        book, "receivable", by=claim.creditor, scheme="credit_note", reference=do.number, field="number",
        payload=payload, of=do.id,
    )  # fmt: skip
    fingerprint = fingerprint_id(
        book.ledger, seller=claim.debtor, buyer=claim.creditor, invoice=do.number, invoice_code=Absent, issued=Absent,
        amount_minor=do.amount_minor, currency=claim.currency,
    )  # fmt: skip
    take_fingerprint(book, fingerprint, do.id, do.number)
    count(book, claim.debtor, claim.currency, credited_minor=do.amount_minor)
    book.put(msgspec.structs.replace(claim, owed_back=claim.owed_back + do.amount_minor))
    book.put(
        Receivable(
            id=do.id, creditor=claim.debtor, debtor=claim.creditor, currency=claim.currency, due=do.due,
            invoice=do.number, fingerprint=fingerprint, payload=payload, contract=claim.contract, bank=claim.bank,
            claimed=do.amount_minor, pending=0, confirmed=do.amount_minor, free=do.amount_minor,
        )
    )  # fmt: skip


@rule(SetOffReceivable)
def _set_off(do: SetOffReceivable, book: Book) -> None:
    claim, part, payload = _begin(do, do.id, do.receivable, do.amount_minor, do.part, book)
    if require_award(book, do.arbiter, do.award):
        signers: tuple[str, ...] = (str(do.arbiter),)
    else:
        require(book, "receivable", claim.debtor, field="debtor")
        signers = (claim.debtor, *require_owners(claim, part, book))
    _check_may_set_off(do.counterclaim, claim, part, book)
    _use_counterclaim(do.counterclaim, claim, do.amount_minor, book)
    _take(claim, part, do.amount_minor, "setoff", book)
    book.put(
        Reduction(
            id=do.id, receivable=claim.id, form="set_off", amount_minor=do.amount_minor, paper=do.counterclaim.digest,
            signers=signers, payload=payload, entered=book.today, part=do.part,
        )
    )  # fmt: skip


def _check_may_set_off(counter: Counter, claim: Receivable, part: Part | None, book: Book) -> None:
    """Civil Code 549 protects whoever took a part; creditor and debtor between them may set off as they agree."""
    check_digest("receivable", counter.digest, "counterclaim")
    check_amount("receivable", counter.amount_minor, "counterclaim")
    check_not_future("receivable", counter.arose, book.today, "counterclaim")
    if part is None or (counter.contract is not Absent and counter.contract == claim.contract):
        return
    known = book.today if part.notified is Absent else part.notified
    if counter.arose > known or counter.due > claim.payable:
        refuse(
            "receivable.no_set_off", f"the counterclaim arose on {counter.arose} and is due on {counter.due}",
            rule="Civil Code 549", field="counterclaim", value=counter.digest,
            advice=f"it must have been there on {known} and be due by {claim.payable}, or be of the claim's contract",
            notified=str(known), due=str(claim.payable),
        )  # fmt: skip


def _use_counterclaim(counter: Counter, claim: Receivable, amount_minor: int, book: Book) -> None:
    """Uses an amount of a counterclaim, or gives it back where it is negative."""
    id = f"{claim.debtor} {counter.digest}"
    held = book.find(Counterclaim, id)
    if held is not None and (held.terms, held.currency) != (counter, claim.currency):
        refuse(
            "receivable.duplicate", "this counterclaim was stated with another content before", rule="duplicates",
            field="counterclaim", value=counter.digest, advice="state it as before; nothing was overwritten",
            amount_held=held.terms.amount_minor, due_held=str(held.terms.due), arose_held=str(held.terms.arose),
        )  # fmt: skip
    used = amount_minor + (0 if held is None else held.used_minor)
    if used > counter.amount_minor:
        left = counter.amount_minor - used + amount_minor
        refuse(
            "receivable.over_set_off", f"only {money_text(claim, left)} of the counterclaim are left",
            rule="Civil Code 549", field="amount_minor", value=amount_minor,
            advice=up_to("set off", left, "all of it is used"),
        )  # fmt: skip
    book.put(Counterclaim(id=id, terms=counter, currency=claim.currency, used_minor=used))


@rule(WriteOffReceivable)
def _write_off(do: WriteOffReceivable, book: Book) -> None:
    claim, part, payload = _begin(do, do.id, do.receivable, do.amount_minor, do.part, book)
    signers = require_owners(claim, part, book)
    check_reference("receivable", do.reason, "reason")
    check_digest("receivable", do.digest)
    if not claim.overdue(book.today):
        refuse(
            "receivable.bad_state", f"{claim.id} is due on {claim.payable}", rule="write-offs", field="receivable",
            value=claim.id, advice=f"{NONE}: nothing of it is owed" if book.today > claim.payable
            else f"wait until {add_days(claim.payable, 1)}; a credit note reduces a claim before",
        )  # fmt: skip
    _take(claim, part, do.amount_minor, "written_off", book)
    book.put(
        Reduction(
            id=do.id, receivable=claim.id, form="write_off", amount_minor=do.amount_minor, paper=do.digest,
            signers=signers, payload=payload, entered=book.today, part=do.part,
        )
    )  # fmt: skip


@rule(ReverseReduction)
def _reverse(do: ReverseReduction, book: Book) -> None:
    reduction = book.get(Reduction, do.id, field="id")
    for signer in reduction.signers:
        require(book, "receivable", signer, field="by")
    check_reference("receivable", do.reason, "reason")
    if reduction.reversed is not Absent:
        refuse("receivable.bad_state", f"{do.id} was reversed on {reduction.reversed}", rule="reversals",
               field="id", value=do.id, advice=f"{NONE}: it is reversed once; enter it anew")  # fmt: skip
    if reduction.recovered_minor:
        refuse("receivable.dependant", f"the debtor has paid {reduction.recovered_minor} of {do.id} since",
               rule="reversals", field="id", value=do.id, advice=f"{NONE}: what is paid stands")  # fmt: skip
    check_open_month(book, "receivable", reduction.entered, do.id)
    claim = claim_of(book, reduction.receivable)
    part = part_of(claim, reduction.part, book)
    book.put(give_back(claim, part, reduction.amount_minor, _TARGETS[reduction.form], book))
    if reduction.form == "credit_note":
        # The month is the same, so the count is that of a month in which the note was never written.
        count(book, claim.debtor, claim.currency, credited_minor=-reduction.amount_minor)
    if reduction.form == "set_off":
        counter = book.get(Counterclaim, f"{claim.debtor} {reduction.paper}")
        book.put(msgspec.structs.replace(counter, used_minor=counter.used_minor - reduction.amount_minor))
    book.put(msgspec.structs.replace(reduction, reversed=book.today))


def _take(claim: Receivable, part: Part | None, amount_minor: int, target: Bucket, book: Book) -> None:
    """Takes an amount out of what is open, with a note where a loan is then secured no more."""
    book.put(take_open(claim, part, amount_minor, target, book))
    note_shortfall(book, Absent if part is None else part.loan)


def _begin(
    do: Instruction, id: str, receivable: str, amount_minor: int, part: str | Optional, book: Book
) -> tuple[Receivable, Part | None, str]:
    """The claim, the part and the digest of an instruction that makes a new reduction."""
    check_identifier("reduction", id)
    payload = payload_digest(do)
    held = book.find(Reduction, id)
    if held is not None:
        refuse_duplicate("reduction", f"there is a reduction {id} already", "id", id, payload, held.payload)
    claim = claim_of(book, receivable, field="receivable")
    check_amount("receivable", amount_minor)
    return claim, part_of(claim, part, book), payload
