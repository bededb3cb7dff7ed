"""Trade contracts and the papers lodged on them."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from book import MemoryBook, digest, refused, town
from finchain import instructions as do
from finchain.domain.trade import Contract, Evidence

CONTRACT = do.SignContract("C-1", "shop", "core", digest("contract"), 120_000_000, "CNY", date(2026, 3, 2))
BOTH = {"shop", "core"}


@pytest.fixture
def ledger() -> MemoryBook:
    return town()


def test_seller_and_buyer_sign_one_paper(ledger: MemoryBook) -> None:
    ledger.apply(CONTRACT, by=BOTH)
    contract = ledger.get(Contract, "C-1")
    assert (contract.seller, contract.buyer, contract.value_minor) == ("shop", "core", 120_000_000)


@pytest.mark.parametrize("by", [{"shop"}, {"core"}, {"bank"}])
def test_a_contract_that_one_side_signed_is_none(ledger: MemoryBook, by: set[str]) -> None:
    with refused(ledger, "contract.not_signed"):
        ledger.apply(CONTRACT, by=by)


def test_a_machine_signs_no_contract(ledger: MemoryBook) -> None:
    with refused(ledger, "contract.not_signed"):
        ledger.apply(CONTRACT, by={"shop"}, service={"core"})


@pytest.mark.parametrize(
    ("member", "wrong", "code"),
    [
        ("id", "C 1", "contract.identifier"),
        ("seller", "bank", "contract.wrong_role"),
        ("buyer", "bank", "contract.wrong_role"),
        ("buyer", "shop", "contract.wrong_role"),
        ("digest", "12", "contract.digest"),
        ("value_minor", 0, "contract.amount"),
        ("value_minor", 2**53, "contract.amount"),
        ("currency", "RMB", "contract.currency"),
        ("signed", date(2026, 3, 3), "contract.date"),
    ],
)
def test_a_contract_that_makes_no_sense_is_refused(ledger: MemoryBook, member: str, wrong: object, code: str) -> None:
    with refused(ledger, code):
        ledger.apply(msgspec.structs.replace(CONTRACT, **{member: wrong}), by={"shop", "core", "bank"})


def test_a_contract_is_never_overwritten(ledger: MemoryBook) -> None:
    ledger.apply(CONTRACT, by=BOTH)
    other = msgspec.structs.replace(CONTRACT, digest=digest("another"))
    with refused(ledger, "contract.duplicate") as refusal:
        ledger.apply(other, by=BOTH)
    assert refusal.value.facts == {"digest": digest("another"), "digest_held": digest("contract")}


@pytest.mark.parametrize("by", ["shop", "core", "carrier"])
def test_seller_buyer_and_sources_lodge_evidence(ledger: MemoryBook, by: str) -> None:
    ledger.apply(CONTRACT, by=BOTH)
    lodge = do.LodgeEvidence("E-1", "C-1", "delivery_note", digest("note"), by)
    with refused(ledger, "evidence.not_signed"):
        ledger.apply(lodge, by={"bank"})
    ledger.apply(lodge, by=(), service={by})
    assert ledger.get(Evidence, "E-1") == Evidence(
        id="E-1", contract="C-1", form="delivery_note", digest=digest("note"), by=by, lodged=ledger.today
    )  # fmt: skip
    with refused(ledger, "evidence.duplicate"):
        ledger.apply(lodge, by={by})


@pytest.mark.parametrize(
    ("member", "wrong", "code"),
    [("id", "", "evidence.identifier"), ("contract", "C-2", "contract.not_found"), ("digest", "", "evidence.digest"),
     ("by", "bank", "evidence.wrong_role"), ("by", "tier2", "evidence.wrong_role")],
)  # fmt: skip
def test_evidence_that_is_refused(ledger: MemoryBook, member: str, wrong: object, code: str) -> None:
    ledger.apply(CONTRACT, by=BOTH)
    lodge = do.LodgeEvidence("E-1", "C-1", "other", digest("note"), "shop")
    with refused(ledger, code):
        ledger.apply(msgspec.structs.replace(lodge, **{member: wrong}), by={"shop", "bank", "tier2"})
