"""One deal from contract to payment, as steps that a test checks and the demo shows.

A shop sells computers on credit to a software house. Its claim is confirmed, guaranteed and made into a certificate;
a part of it pays a supplier, who sells that for cash; the rest secures a loan whose money may go to two payees only.
On the last day one payment settles all of it. Amounts are in fen, dates in 2026; the deal is real in its form only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

from finchain import instructions as do
from finchain.domain.account import Account, Mandate
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Loan
from finchain.domain.party import Role
from finchain.domain.payment import Payment
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Instruction, Record
from finchain.money import format_minor

START: Final = date(2026, 3, 2)
MATURITY: Final = date(2026, 8, 31)

ACCOUNT: Final = "ctl-7q4x"
"""The shop's controlled account; ids of accounts are chosen so that nobody can guess them."""


@dataclass(frozen=True)
class DemoParty:
    """A party of the deal, which a registrar enters before it begins."""

    id: str
    name: str
    roles: tuple[Role, ...]


PARTIES: Final = (
    DemoParty("shop", "Corner Computers", ("supplier",)),
    DemoParty("daqi", "Zhongke Daqi", ("debtor",)),
    DemoParty("surety", "Harbour Guarantee", ("guarantor",)),
    DemoParty("bank", "River Bank", ("lender", "controller", "settlement_bank")),
    DemoParty("factor", "Bridge Factoring", ("factor",)),
    DemoParty("maker", "Second Tier Parts", ("supplier",)),
    DemoParty("clearer", "Clearing Bank", ("settlement_bank",)),
)

PAYEE_1: Final = do.Payee("Mainboard Wholesale", "91110000MA001P1", "6222 0000 0001")
PAYEE_2: Final = do.Payee("Screen Works", "91110000MA001P2", "6222 0000 0002")
PAYEE_3: Final = do.Payee("Cousin Trading", "91110000MA001P3", "6222 0000 0003")


@dataclass(frozen=True)
class Figure:
    """A number that a record shows after a step.

    Attributes:
        kind: Type of the record.
        id: Its id.
        member: Name of the member or property.
        expected: What it is, in fen; a lot's `hop` is a count.
    """

    kind: type[Record]
    id: str
    member: str
    expected: int

    @property
    def text(self) -> str:
        """What is expected, as people write it."""
        return str(self.expected) if self.member == "hop" else yuan(self.expected)


@dataclass(frozen=True)
class Step:
    """One transaction of the deal.

    Attributes:
        day: The day on which it is sent.
        title: What happens, in a few words.
        by: Who signs; the first sends it.
        instructions: They hold together.
        expect: `applied`, or the code of the refusal.
        says: What it means, in a sentence.
        figures: What the ledger shows afterwards.
    """

    day: date
    title: str
    by: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    expect: str = "applied"
    says: str = ""
    figures: Sequence[Figure] = ()


NET_CASH: Final[Mapping[str, int]] = MappingProxyType(
    {
        "daqi": -116_464_000,
        "surety": 464_000,
        "factor": 796_800,
        "bank": 1_341_250,
        "shop": 6_658_750,
        "maker": 35_203_200,
        f"{ACCOUNT}/mainboards": 67_000_000,
        f"{ACCOUNT}/screens": 5_000_000,
    }
)
"""What each has received less what it has paid, at the end; it sums to zero."""


def deal() -> Iterator[Step]:
    """The steps in their order."""
    yield from _claim()
    yield from _certificate()
    yield from _loan()
    yield from _first_draw()
    yield from _sale()
    yield from _second_draw()
    yield from _end()


def _claim() -> Iterator[Step]:
    yield Step(
        date(2026, 3, 2), "A controlled account", ("shop", "bank"),
        (do.OpenAccount(ACCOUNT, "shop", "bank", ["bank"], "CNY", "parts for the Daqi order", "6222 7000 4711"),),
        says="The shop's money from the loan will be on an account that the bank controls.",
    )  # fmt: skip
    yield Step(
        date(2026, 3, 2), "The contract", ("shop", "daqi"),
        (
            do.SignContract(
                "contract-1", "shop", "daqi", paper("contract"), 120_000_000, "CNY", date(2026, 3, 2)
            ),
        ),
        says="Shop and customer sign the same paper: computers for 1,200,000.00.",
    )  # fmt: skip
    yield Step(
        date(2026, 3, 4), "The claim", ("shop",),
        (
            do.SubmitReceivable(
                "claim-1", "shop", "daqi", 120_000_000, "CNY", MATURITY, "INV 2026/0117", contract="contract-1",
                issued=date(2026, 3, 3),
            ),
        ),
        says="The shop claims its invoice of 1,200,000.00.",
    )  # fmt: skip
    yield Step(
        date(2026, 3, 4), "The confirmation", ("daqi",),
        (
            do.ConfirmReceivable("claim-1", 116_000_000, waives_defences=True),
            do.RejectReceivable("claim-1", 4_000_000, "two machines came damaged"),
        ),
        says="The customer confirms 1,160,000.00 and rejects 40,000.00.",
        figures=_figures(Receivable, "claim-1", free=116_000_000, rejected=4_000_000, pending=0),
    )  # fmt: skip


def _certificate() -> Iterator[Step]:
    day = date(2026, 3, 4)
    yield Step(
        day, "The guarantee is offered", ("surety",),
        (
            do.OfferGuarantee(
                "guarantee-1", "surety", "daqi", "certificate", "cert-1", "CNY", "non_financing", "joint_several",
                "proportional", 8_000, 92_800_000, ["principal"], do.Rate(100, 10_000), "act/360", "daqi",
                date(2027, 2, 28), day,
            ),
        ),
        says="A guarantee company will answer for 80% of what the customer does not pay.",
        figures=_figures(Guarantee, "guarantee-1", covered_minor=0),
    )  # fmt: skip
    yield Step(
        day, "The certificate is issued", ("daqi",),
        (
            do.IssueCertificate(
                "cert-1", "daqi", "shop", 116_000_000, "CNY", MATURITY, [do.ClaimShare("claim-1", 116_000_000)],
                "clearer", "pro_solvendo", guarantees=["guarantee-1"],
            ),
        ),
        says="The customer promises to pay the confirmed sum on 31 August, in a form that can be divided.",
        figures=(
            *_figures(Receivable, "claim-1", free=0, converted=116_000_000),
            *_figures(Certificate, "cert-1", live_minor=116_000_000),
        ),
    )  # fmt: skip
    yield Step(
        day, "The certificate is accepted", ("shop",), (do.AcceptCertificate("cert-1"),),
        says="The shop takes it, and with it the guarantee; the fee for 180 days is 4,640.00.",
        figures=_figures(Guarantee, "guarantee-1", covered_minor=92_800_000, fee_minor=464_000),
    )  # fmt: skip
    yield Step(
        day, "The fee is ordered", ("daqi",), (do.PayGuaranteeFee("guarantee-1", 464_000),),
        says="The customer orders its bank to pay the fee.",
    )  # fmt: skip
    yield Step(
        day, "The fee is received", ("surety",),
        (do.ReceiveGuaranteeFee("guarantee-1", 464_000, "IN-0001", paper("fee")),),
        says="The guarantee company has it.",
        figures=(*_cash("surety", 464_000), *_cash("daqi", -464_000)),
    )  # fmt: skip
    yield Step(
        day, "A part pays a supplier", ("shop",),
        (do.OfferTransfer("cert-1 1", "maker", 36_000_000, paper("parts"), recourse=False),),
        says="The shop offers 360,000.00 of the certificate to the maker of its parts, without recourse.",
        figures=_figures(Lot, "cert-1 1", live_minor=36_000_000),
    )  # fmt: skip
    yield Step(
        day, "The supplier accepts", ("maker",), (do.AcceptTransfer("cert-1 1"),),
        says="The maker holds units 1 to 36,000,000; the shop keeps the 80,000,000 above them.",
        figures=(*_figures(Lot, "cert-1 1", hop=1), *_figures(Lot, "cert-1 36000001", live_minor=80_000_000)),
    )  # fmt: skip


def _loan() -> Iterator[Step]:
    yield Step(
        date(2026, 3, 6), "The loan, its pledge and its payees", ("shop", "bank"),
        (
            do.AgreeLoan(
                "loan-1", "bank", "shop", 72_000_000, 9_000, do.Rate(435, 10_000), do.Rate(6_525, 100_000), "act/360",
                "settlement", "interest_at_maturity", 0, date(2026, 4, 30), MATURITY, ACCOUNT, "interest_first",
            ),
            do.PledgeLot(
                "cert-1 36000001", 80_000_000, "loan-1", "0306-5551", date(2026, 3, 6), paper("pledge")
            ),
            _mandate("mainboards", PAYEE_1, 67_000_000),
            _mandate("screens", PAYEE_2, 5_000_000),
        ),
        says="The bank will lend up to 90% of the pledged lot at 4.35%, for mainboards and screens only.",
        figures=_figures(Loan, "loan-1", limit_minor=72_000_000, outstanding_minor=0),
    )  # fmt: skip


def _mandate(name: str, payee: do.Payee, cap_minor: int) -> do.SetMandate:
    return do.SetMandate(
        ACCOUNT, name, "goods", payee, cap_minor, cap_minor, date(2026, 3, 9), MATURITY, ["invoice"]
    )  # fmt: skip


def _first_draw() -> Iterator[Step]:
    day = date(2026, 3, 9)
    yield from _draw(day, "draw-1", 50_000_000, "OUT-0001", 50_000_000)
    yield from _payment(day, "payment-1", "mainboards", PAYEE_1, 30_000_000)
    yield from _payment(day, "payment-2", "screens", PAYEE_2, 5_000_000)
    yield Step(
        date(2026, 3, 10), "A payment comes back", ("bank",),
        (do.ReturnPayment("payment-2", 5_000_000, "RET-payment-2", paper("return")),),
        says="The payee's bank could not deliver it; money and mandate are free again.",
        figures=(
            *_figures(Account, ACCOUNT, settled_minor=20_000_000, free_minor=20_000_000),
            *_figures(Mandate, f"{ACCOUNT} screens", used_minor=0, left_minor=5_000_000),
        ),
    )  # fmt: skip
    yield from _payment(date(2026, 3, 11), "payment-3", "screens", PAYEE_2, 5_000_000)
    yield Step(
        date(2026, 3, 12), "A payment that nobody agreed to", ("shop",),
        (_request("payment-4", "mainboards", PAYEE_3, 8_000_000),),
        expect="payment.not_whitelisted",
        says="The shop asks to pay somebody else. Nothing moves, and the attempt stays on the ledger.",
        figures=_figures(Account, ACCOUNT, settled_minor=15_000_000, free_minor=15_000_000),
    )  # fmt: skip
    yield from _payment(date(2026, 3, 12), "payment-5", "mainboards", PAYEE_1, 15_000_000)


def _sale() -> Iterator[Step]:
    day = date(2026, 3, 18)
    yield Step(
        day, "The supplier offers its lot for cash", ("maker",),
        (
            do.OfferSale(
                "cert-1 1", "factor", 36_000_000, 35_203_200, do.Rate(480, 10_000), "act/360", day, recourse=False
            ),
        ),
        says="360,000.00 in 166 days, at 4.80%: the discount is 7,968.00, the price 352,032.00.",
    )  # fmt: skip
    yield Step(
        day, "The factor accepts", ("factor",), (do.AcceptSale("cert-1 1"),),
        says="The lot stays reserved until the money is there.",
    )  # fmt: skip
    yield Step(
        day, "Delivery versus payment", ("clearer",),
        (do.SettleSale("cert-1 1", 35_203_200, "DVP-0001", paper("sale")),),
        says="The settlement bank states the payment, and with it the lot is the factor's.",
        figures=(
            *_figures(Lot, "cert-1 1", hop=2, live_minor=36_000_000),
            *_cash("maker", 35_203_200),
            *_cash("factor", -35_203_200),
        ),
    )  # fmt: skip


def _second_draw() -> Iterator[Step]:
    day = date(2026, 4, 8)
    yield from _draw(day, "draw-2", 22_000_000, "OUT-0002", 72_000_000)
    yield from _payment(day, "payment-6", "mainboards", PAYEE_1, 22_000_000)


def _end() -> Iterator[Step]:
    day = date(2026, 6, 8)
    yield Step(
        day, "Notice of a prepayment", ("shop",), (do.PrepayLoan("loan-1", 10_000_000),),
        says="The shop will repay 100,000.00 early; the interest on it waits until maturity.",
    )  # fmt: skip
    yield Step(
        day, "The prepayment", ("bank",),
        (do.ReceivePrepayment("loan-1", 10_000_000, "IN-0002", paper("prepayment")),),
        says="The bank has it.",
        figures=_figures(Loan, "loan-1", outstanding_minor=62_000_000, repaid_minor=10_000_000),
    )  # fmt: skip
    yield Step(
        MATURITY, "The day of payment", ("clearer",),
        (do.PayCertificate("cert-1", 116_000_000, "PAY-0001", paper("payment")),),
        says="One payment: the factor has its 360,000.00, the bank principal and 13,412.50 of interest, the shop the "
        "rest; pledge, guarantee and claim have ended.",
        figures=(
            *_figures(Certificate, "cert-1", live_minor=0, settled_minor=116_000_000, suspense_minor=0),
            *_figures(Receivable, "claim-1", converted=0, conv_settled=116_000_000),
            *_figures(Loan, "loan-1", outstanding_minor=0, repaid_minor=72_000_000, drawn_minor=72_000_000),
            *_figures(Account, ACCOUNT, settled_minor=0, reserved_minor=0),
            *_figures(Mandate, f"{ACCOUNT} mainboards", used_minor=67_000_000),
            *_figures(Mandate, f"{ACCOUNT} screens", used_minor=5_000_000),
            *(figure for holder, net_minor in NET_CASH.items() for figure in _cash(holder, net_minor)),
        ),
    )  # fmt: skip


def _draw(day: date, name: str, amount_minor: int, reference: str, outstanding_minor: int) -> Iterator[Step]:
    yield Step(
        day, "A draw", ("shop", "bank"), (do.DrawLoan("loan-1", name, amount_minor),),
        says=f"Shop and bank sign for {yuan(amount_minor)}.",
        figures=_figures(Loan, "loan-1", reserved_minor=amount_minor),
    )  # fmt: skip
    yield Step(
        day, "The draw is paid out", ("bank",),
        (do.DisburseLoan("loan-1", name, amount_minor, reference, paper(name)),),
        says=f"{yuan(amount_minor)} are on the controlled account; interest runs from today.",
        figures=_figures(Loan, "loan-1", reserved_minor=0, outstanding_minor=outstanding_minor),
    )  # fmt: skip


def _payment(day: date, id: str, mandate: str, payee: do.Payee, amount_minor: int) -> Iterator[Step]:
    yield Step(
        day, "A payment is requested", ("shop",), (_request(id, mandate, payee, amount_minor),),
        says=f"The shop asks to pay {yuan(amount_minor)} to {payee.name}.",
        figures=_figures(Account, ACCOUNT, reserved_minor=amount_minor),
    )  # fmt: skip
    yield Step(
        day, "The payment is approved and made", ("bank",),
        (
            do.ApprovePayment(id),
            do.InstructPayment(id),
            do.SettlePayment(id, amount_minor, f"PAY-{id}", paper(id)),
        ),
        says=f"{payee.name} has its {yuan(amount_minor)}.",
        figures=(*_figures(Payment, id, kept_minor=amount_minor), *_figures(Account, ACCOUNT, reserved_minor=0)),
    )  # fmt: skip


def _request(id: str, mandate: str, payee: do.Payee, amount_minor: int) -> do.RequestPayment:
    papers = [do.Paper("invoice", paper(f"invoice {id}"))]
    return do.RequestPayment(id, ACCOUNT, mandate, amount_minor, "goods", payee, papers)


def _figures(kind: type[Record], id: str, **expected: int) -> tuple[Figure, ...]:
    return tuple(Figure(kind, id, member, amount) for member, amount in expected.items())


def _cash(holder: str, net_minor: int) -> tuple[Figure, ...]:
    return _figures(Cash, f"{holder} CNY", net_minor=net_minor)


def yuan(amount_minor: int) -> str:
    """An amount of fen as people write it."""
    return format_minor(amount_minor, "CNY")


def paper(name: str) -> str:
    """The SHA-256 that stands for a paper of the deal."""
    return hashlib.sha256(f"the {name} of the demo deal".encode()).hexdigest()
