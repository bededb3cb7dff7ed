"""What is only expected is shown and nothing else: no debtor confirms it and nobody lends on it."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from book import MemoryBook, digest, refused, town
from finchain import instructions as do
from finchain.domain.prospective import Prospective
from finchain.domain.receivable import Receivable

EXPECT = do.SubmitProspective("F-1", "shop", "core", 1_000, "CNY", "PO-7", date(2026, 6, 1))
INVOICE = do.SubmitReceivable("R-1", "shop", "core", 400, "CNY", date(2026, 8, 31), "INV-7", prospective="F-1")


@pytest.fixture
def ledger() -> MemoryBook:
    """The shop expects to invoice 10.00."""
    ledger = town()
    ledger.apply(EXPECT, by={"shop"})
    return ledger


def shown(ledger: MemoryBook) -> tuple[int, int, int]:
    held = ledger.get(Prospective, "F-1")
    assert held.expected_minor + held.invoiced_minor + held.withdrawn_minor == held.amount_minor
    return held.expected_minor, held.invoiced_minor, held.withdrawn_minor


@pytest.mark.parametrize(
    "instruction",
    [
        do.ConfirmReceivable("F-1", 1), do.RejectReceivable("F-1", 1, "no"), do.CancelReceivable("F-1"),
        do.AssignReceivable("A-1", "F-1", "factor", 1), do.OfferPart("A-1", "F-1", "factor", "assigned", 1),
        do.PledgeReceivable("P-1", "F-1", "bank", 1, "0123", 0, digest("c")),
        do.DisputeReceivable("D-1", "F-1", "pending", 1, "no"),
        do.CreditReceivable("X-1", "F-1", 1, "CN-1", digest("c")),
        do.SettleReceivable("F-1", 1, "shop", "entry 1", digest("c")),
        do.IssueCertificate("C-1", "core", "shop", 1, "CNY", date(2026, 6, 1), [do.ClaimShare("F-1", 1)], "clearer",
                            "pro_solvendo"),
    ],
    ids=lambda each: type(each).__name__,
)  # fmt: skip
def test_nothing_rests_on_an_expectation(ledger: MemoryBook, instruction: do.ConfirmReceivable) -> None:
    with refused(ledger, "receivable.prospective"):
        ledger.apply(instruction, by={"shop", "core", "bank", "factor", "clearer"})


def test_what_is_invoiced_becomes_a_claim_and_leaves_the_expectation(ledger: MemoryBook) -> None:
    ledger.apply(INVOICE, by={"shop"})
    assert shown(ledger) == (600, 400, 0)
    assert ledger.get(Receivable, "R-1").pending == 400
    ledger.apply(do.ConfirmReceivable("R-1", 400), by={"core"})
    larger = msgspec.structs.replace(INVOICE, id="R-2", invoice="INV-8", amount_minor=700)
    ledger.apply(larger, by={"shop"})
    assert shown(ledger) == (0, 1_000, 0)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"prospective": "F-9"}, "prospective.not_found"), ({"currency": "USD"}, "prospective.other_claim"),
     ({"creditor": "tier2"}, "prospective.other_claim")],
)  # fmt: skip
def test_an_invoice_names_an_expectation_of_its_own(ledger: MemoryBook, changes: dict[str, object], code: str) -> None:
    with refused(ledger, code):
        ledger.apply(msgspec.structs.replace(INVOICE, **changes), by={"shop", "tier2"})


def test_the_creditor_gives_an_expectation_up(ledger: MemoryBook) -> None:
    with refused(ledger, "prospective.not_signed"):
        ledger.apply(do.WithdrawProspective("F-1", 1), by={"core"})
    for amount, code in ((0, "prospective.amount"), (1_001, "prospective.insufficient")):
        with refused(ledger, code):
            ledger.apply(do.WithdrawProspective("F-1", amount), by={"shop"})
    ledger.apply(do.WithdrawProspective("F-1", 1_000), by={"shop"})
    assert shown(ledger) == (0, 0, 1_000)
    with refused(ledger, "prospective.not_found"):
        ledger.apply(do.WithdrawProspective("F-9", 1), by={"shop"})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": "F 2"}, "prospective.identifier"), ({"creditor": "bank"}, "prospective.wrong_role"),
        ({"debtor": "tier2"}, "prospective.wrong_role"), ({"amount_minor": 0}, "prospective.amount"),
        ({"currency": "RMB"}, "prospective.currency"), ({"number": ""}, "prospective.reference"),
        ({"expected_on": date(2026, 3, 1)}, "prospective.date"), ({"contract": "C-9"}, "contract.not_found"),
        ({"number": "po 7"}, "prospective.duplicate"), ({"id": "F-1"}, "prospective.duplicate"),
    ],
)  # fmt: skip
def test_an_expectation_that_makes_no_sense_is_refused(
    ledger: MemoryBook, changes: dict[str, object], code: str
) -> None:
    other = msgspec.structs.replace(EXPECT, id="F-2", number="PO-8")
    with refused(ledger, code):
        ledger.apply(msgspec.structs.replace(other, **changes), by={"shop", "bank"})
    ledger.apply(msgspec.structs.replace(other, expected_on=ledger.today), by={"shop"})


def test_nobody_expects_to_be_owed_by_itself(ledger: MemoryBook) -> None:
    ledger.apply(do.SetRoles("shop", ["supplier", "debtor"]), by={"registrar"})
    with refused(ledger, "prospective.wrong_role"):
        ledger.apply(msgspec.structs.replace(EXPECT, id="F-2", number="PO-8", debtor="shop"), by={"shop"})
