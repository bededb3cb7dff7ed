"""Trade contracts and evidence of delivery: what a claim rests on, as digests of papers that stay outside.

The ledger keeps that two parties signed the same paper, and who lodged which evidence, when. It does not read the
papers, and a contract here moves no money.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal

from finchain.domain.check import check_amount, check_currency, check_digest, check_identifier, check_not_future
from finchain.domain.party import require
from finchain.domain.rule import Absent, Book, Instruction, Optional, Record, record, refuse, rule

EvidenceForm = Literal["invoice", "delivery_note", "bill_of_lading", "acceptance", "customs", "other"]


@record
class Contract(Record, frozen=True, kw_only=True):
    """A trade contract that seller and buyer signed.

    Attributes:
        digest: SHA-256 of the contract.
        value_minor: What the buyer is to pay in all, in minor units of `currency`.
        signed: The date on the paper.
    """

    kind: ClassVar[str] = "contract"

    seller: str
    buyer: str
    digest: str
    value_minor: int
    currency: str
    signed: date


@record
class Evidence(Record, frozen=True, kw_only=True):
    """A paper on a contract.

    Attributes:
        by: Who lodged it: the buyer's word weighs more than the seller's.
        digest: SHA-256 of the paper.
        lodged: The day on which the ledger got it.
    """

    kind: ClassVar[str] = "evidence"

    contract: str
    form: EvidenceForm
    digest: str
    by: str
    lodged: date


class SignContract(Instruction, frozen=True, tag="contract.sign"):
    """Enters a trade contract. Signed by seller and buyer in one transaction."""

    id: str
    seller: str
    buyer: str
    digest: str
    value_minor: int
    currency: str
    signed: date


class LodgeEvidence(Instruction, frozen=True, tag="evidence.lodge"):
    """Lodges a paper on a contract. Signed by `by`: the seller, the buyer, or an enrolled source of facts."""

    id: str
    contract: str
    form: EvidenceForm
    digest: str
    by: str


@rule(SignContract)
def _sign(do: SignContract, book: Book) -> None:
    check_identifier("contract", do.id)
    if book.find(Contract, do.id) is not None:
        held = book.get(Contract, do.id)
        refuse(
            "contract.duplicate", f"there is a contract {do.id} already", field="id", value=do.id,
            advice="choose another id", digest=do.digest, digest_held=held.digest,
        )  # fmt: skip
    if do.seller == do.buyer:
        refuse(
            "contract.wrong_role", "one party cannot be both sides", rule="both sides", field="buyer",
            value=do.buyer, advice="name another buyer",
        )  # fmt: skip
    require(book, "contract", do.seller, role=("supplier", "contractor"), field="seller")
    require(book, "contract", do.buyer, role=("debtor", "owner", "contractor"), field="buyer")
    check_digest("contract", do.digest)
    check_amount("contract", do.value_minor, "value_minor")
    check_currency("contract", do.currency)
    check_not_future("contract", do.signed, book.today, "signed")
    book.put(
        Contract(
            id=do.id, seller=do.seller, buyer=do.buyer, digest=do.digest, value_minor=do.value_minor,
            currency=do.currency, signed=do.signed,
        )
    )  # fmt: skip


@rule(LodgeEvidence)
def _lodge(do: LodgeEvidence, book: Book) -> None:
    check_identifier("evidence", do.id)
    held = book.find(Evidence, do.id)
    if held is not None:
        refuse(
            "evidence.duplicate", f"there is evidence {do.id} already", field="id", value=do.id,
            advice="choose another id", digest=do.digest, digest_held=held.digest,
        )  # fmt: skip
    contract = book.get(Contract, do.contract, field="contract")
    if do.by in (contract.seller, contract.buyer):
        require(book, "evidence", do.by, service_ok=True)
    else:
        require(book, "evidence", do.by, role="data_source", service_ok=True)
    check_digest("evidence", do.digest)
    book.put(
        Evidence(id=do.id, contract=do.contract, form=do.form, digest=do.digest, by=do.by, lodged=book.today)
    )  # fmt: skip


def check_contract(book: Book, kind: str, contract: str | Optional, seller: str, buyer: str, currency: str) -> None:
    """Refuses a claim whose contract is of other parties or in another currency; no contract is no fault.

    Raises:
        Refused: `contract.not_found`, `<kind>.contract`, or `<kind>.currency`.
    """
    if contract is Absent:
        return
    held = book.get(Contract, contract, field="contract")
    if (held.seller, held.buyer) != (seller, buyer):
        refuse(
            f"{kind}.contract", f"contract {contract} is of {held.seller} and {held.buyer}", field="contract",
            value=contract, advice="name the contract of these two parties",
        )  # fmt: skip
    if held.currency != currency:
        refuse(
            f"{kind}.currency", f"contract {contract} is in {held.currency}", field="currency", value=currency,
            advice=f"claim in {held.currency}",
        )  # fmt: skip
