"""Who holds which units, and through whose hands they came: the worked deals to the unit, and the rarer ways."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

import finchain as fc
from book import digest, refused, town
from finchain import cli
from finchain import instructions as do
from finchain.cli.exit_codes import FAILED
from finchain.domain.loan import Loan
from finchain.domain.rule import Absent, Instruction
from finchain.report import Holding, holdings
from finchain.report.holdings import holdings_of
from played_deal import bent, case_a, case_c, played, recovered
from remembering import Remembering
from stories import ISSUE, ISSUED, MATURITY, A

Row = tuple[int, int, str, str, str]


def shown(found: list[Holding]) -> list[Row]:
    return [(each.first, each.last, each.state, each.holder, each.rank) for each in found]


def hands(holding: Holding) -> list[str]:
    """Everybody who held it, in order."""
    return list(dict.fromkeys(step.holder for step in holding.steps))


def story(holding: Holding) -> list[str]:
    return [step.what for step in holding.steps]


def check_whole(found: list[Holding], amount_minor: int) -> None:
    """The intervals begin at 1, end at the amount, and leave no gap."""
    assert [each.first for each in found] == [1, *(each.last + 1 for each in found[:-1])]
    assert found[-1].last == amount_minor
    assert all(each.amount_minor == each.last - each.first + 1 > 0 for each in found)
    assert all(each.steps and each.steps[0].what == "issued" for each in found)


def test_everything_is_paid(tmp_path: Path) -> None:
    """Case A: the factor's units came from the debtor by the shop and its supplier, the shop's were pledged."""
    with played(tmp_path, case_a()) as ledger:
        sold, pledged = found = holdings(ledger, "cert-1")
    check_whole(found, 116_000_000)
    assert shown(found) == [
        (1, 36_000_000, "settled", "factor", "none"), (36_000_001, 116_000_000, "settled", "shop", "none"),
    ]  # fmt: skip
    assert hands(sold) == ["daqi", "shop", "maker", "factor"]
    assert story(sold) == ["issued", "passed", "offered", "passed", "offered", "agreed", "passed", "settled"]
    assert story(pledged) == ["issued", "passed", "pledged", "settled"]
    assert (pledged.encumbrance, pledged.to, pledged.loan) == ("pledged", "bank", "loan-1")
    sale, payment = sold.steps[-2:]
    assert (sale.day, sale.source, sale.holder, sale.by) == (date(2026, 3, 18), "maker", "factor", ("clearer",))
    assert isinstance(sale.instruction, do.SettleSale) and sale.instruction.amount_minor == 35_203_200
    assert (payment.day, payment.order) == (MATURITY, "certificate.pay")
    assert isinstance(payment.instruction, do.PayCertificate) and payment.instruction.reference == "PAY-0001"


def test_a_step_names_its_place(tmp_path: Path) -> None:
    """What a step says of its block, transaction and instruction a receipt can prove."""
    with played(tmp_path, case_a()) as ledger:
        pledge = holdings(ledger, "cert-1")[1].steps[2]
        (step,) = [each for each in ledger.history(Loan, "loan-1") if each.height == pledge.height]
        assert step.instructions[step.indices.index(pledge.index)] == pledge.instruction
        assert ledger.prove_instruction(step, pledge.index)


def test_the_guarantor_takes_over_and_the_debtor_pays_more(tmp_path: Path) -> None:
    """Case B with its recovery: the intervals of 7.1 step 8, of which step 9 pays the lowest of each lot."""
    with played(tmp_path, recovered()) as ledger:
        found = holdings(ledger, "cert-1")
    check_whole(found, 116_000_000)
    assert shown(found) == [
        (1, 15_517_241, "settled", "factor", "none"), (15_517_242, 17_627_586, "settled", "surety", "junior"),
        (17_627_587, 31_903_448, "live", "surety", "junior"), (31_903_449, 36_000_000, "settled", "factor", "senior"),
        (36_000_001, 70_482_759, "settled", "shop", "none"), (70_482_760, 75_172_414, "settled", "surety", "junior"),
        (75_172_415, 106_896_552, "live", "surety", "junior"),
        (106_896_553, 116_000_000, "settled", "shop", "senior"),
    ]  # fmt: skip
    taken = found[2]
    assert hands(taken) == ["daqi", "shop", "maker", "factor", "surety"]
    assert story(taken)[-3:] == ["dishonoured", "demanded", "taken_over"]
    assert (taken.guarantee, taken.steps[-1].source, taken.steps[-1].order) == (
        "guarantee-1", "factor", "guarantee.compensate",
    )  # fmt: skip
    # What was demanded for the lot was not paid for these units, and the pledge ended with the loan.
    assert story(found[3])[-3:] == ["dishonoured", "demanded", "settled"]
    assert story(found[7])[-3:] == ["demanded", "released", "settled"]
    assert (found[7].encumbrance, found[4].encumbrance) == ("none", "pledged")


def test_nobody_guarantees(tmp_path: Path) -> None:
    """Case C: factor and shop have what was not paid, and the shop's is free again since it repaid its loan."""
    with played(tmp_path, case_c()) as ledger:
        found = holdings(ledger, "cert-1")
    check_whole(found, 116_000_000)
    assert shown(found) == [
        (1, 15_517_241, "settled", "factor", "none"), (15_517_242, 36_000_000, "live", "factor", "senior"),
        (36_000_001, 70_482_759, "settled", "shop", "none"), (70_482_760, 116_000_000, "live", "shop", "senior"),
    ]  # fmt: skip
    assert [(step.what, step.order) for step in found[3].steps[-2:]] == [
        ("dishonoured", "certificate.dishonour"), ("released", "loan.receive"),
    ]  # fmt: skip


def test_a_fund_behind_the_guarantor_a_lot_that_went_back_and_one_forgiven(tmp_path: Path) -> None:
    with played(tmp_path, bent()) as ledger:
        found = holdings(ledger, "cert-1")
    check_whole(found, 116_000_000)
    assert hands(found[1])[-3:] == ["factor", "surety", "fund"]
    assert (found[1].rank, found[1].guarantee) == ("last", "counter-1")
    back = next(each for each in found if each.first == 31_903_449)
    assert [(step.source, step.holder) for step in back.steps if step.order == "certificate.buy_back"] == [
        ("factor", "maker")
    ]
    (forgiven,) = [each for each in found if each.state == "waived"]
    assert (forgiven.holder, forgiven.amount_minor, story(forgiven)[-1]) == ("surety", 18_040_177, "waived")


def accepted() -> Remembering:
    """The shop holds a certificate of 116 m."""
    ledger = Remembering.of(town())
    ledger.move_to(ISSUED)
    ledger.apply(do.SubmitReceivable("R", "shop", "core", A, "CNY", MATURITY, "INV-7"), by=["shop"])
    ledger.apply(do.ConfirmReceivable("R", A), by=["core"])
    ledger.apply(ISSUE, by=["core"])
    ledger.apply(do.AcceptCertificate("C"), by=["shop"])
    return ledger


def offer(lot: str, to: str, amount_minor: int, *, recourse: bool = False, until: date | None = None) -> Instruction:
    return do.OfferTransfer(lot, to, amount_minor, digest("trade"), recourse, Absent if until is None else until)


def now(ledger: Remembering) -> list[Holding]:
    found = holdings_of("C", "CNY", ledger.changes, ledger.today)
    check_whole(found, A)
    return found


def test_recourse_is_on_every_holding() -> None:
    """Who passes a lot on answers for it only where that was agreed, and whoever holds it sees to whom it can turn."""
    ledger = accepted()
    ledger.apply(offer("C 1", "tier2", 36_000_000, recourse=True), by=["shop"])
    ledger.apply(do.AcceptTransfer("C 1"), by=["tier2"])
    ledger.apply(offer("C 1", "payee", 6_000_000), by=["tier2"])
    ledger.apply(do.AcceptTransfer("C 1"), by=["payee"])
    lower, middle, upper = now(ledger)
    assert [each.recourse for each in (lower, middle, upper)] == [("shop",), ("shop",), ()]
    assert str(lower).startswith("C [1..6000000] of payee: 60,000.00 CNY, live, recourse to shop")
    assert str(upper).splitlines()[0] == "C [36000001..116000000] of shop: 800,000.00 CNY, live, without recourse"


def test_a_split_is_no_step() -> None:
    """The units that stay with the shop when others are offered have no part in that offer."""
    ledger = accepted()
    ledger.apply(offer("C 1", "tier2", 36_000_000), by=["shop"])
    offered, rest = now(ledger)
    assert (offered.encumbrance, offered.to, story(offered)) == ("reserved", "tier2", ["issued", "passed", "offered"])
    assert (rest.encumbrance, rest.to, story(rest)) == ("none", Absent, ["issued", "passed"])
    ledger.apply(do.WithdrawOffer("C 1"), by=["shop"])
    assert story(now(ledger)[0]) == ["issued", "passed", "offered", "offer_ended"]


def test_an_offer_that_is_over_is_none() -> None:
    """A day after its last day the offer reserves nothing; a new one for fewer units is no step of the others."""
    ledger = accepted()
    ledger.apply(offer("C 1", "tier2", 36_000_000, until=ISSUED), by=["shop"])
    assert now(ledger)[0].encumbrance == "reserved"
    ledger.advance(1)
    assert (now(ledger)[0].encumbrance, now(ledger)[0].to) == ("none", Absent)
    ledger.apply(offer("C 1", "payee", 6_000_000), by=["shop"])
    offered, others, _ = now(ledger)
    assert (offered.to, story(offered)) == ("payee", ["issued", "passed", "offered", "offered"])
    assert story(others) == ["issued", "passed", "offered"]


def test_a_transfer_that_was_an_error_stays_in_the_story() -> None:
    ledger = accepted()
    ledger.apply(offer("C 1", "tier2", 36_000_000), by=["shop"])
    ledger.apply(do.AcceptTransfer("C 1"), by=["tier2"])
    ledger.apply(do.ReverseTransfer("C 1"), by=["shop", "tier2"])
    undone = now(ledger)[0]
    assert [(step.source, step.holder) for step in undone.steps[-2:]] == [("shop", "tier2"), ("tier2", "shop")]
    assert (undone.holder, undone.steps[-1].what) == ("shop", "passed")


def test_a_holder_writes_off_and_still_holds() -> None:
    ledger = accepted()
    ledger.move_to(MATURITY)
    ledger.apply(do.DishonourCertificate("C", "clearer"), by=["clearer"])
    ledger.apply(do.WriteOffLot("C 1", digest("resolution")), by=["shop"])
    (written_off,) = now(ledger)
    assert (written_off.state, story(written_off)[-1]) == ("live", "written_off")


def test_what_was_refused_was_never_held_by_the_creditor() -> None:
    """All 116 million units are one interval, of which the debtor was the only holder."""
    ledger = Remembering.of(town())
    ledger.move_to(ISSUED)
    ledger.apply(do.SubmitReceivable("R", "shop", "core", A, "CNY", MATURITY, "INV-7"), by=["shop"])
    ledger.apply(do.ConfirmReceivable("R", A), by=["core"])
    ledger.apply(ISSUE, by=["core"])
    assert [(each.state, each.encumbrance, each.to) for each in now(ledger)] == [("live", "reserved", "shop")]
    ledger.apply(do.RefuseCertificate("C"), by=["shop"])
    (cancelled,) = now(ledger)
    assert (cancelled.state, story(cancelled), hands(cancelled)) == ("cancelled", ["issued", "cancelled"], ["core"])


def test_what_all_call_off_is_cancelled_and_what_one_forgave_before_is_not() -> None:
    ledger = accepted()
    ledger.apply(offer("C 1", "tier2", 36_000_000), by=["shop"])
    ledger.apply(do.AcceptTransfer("C 1"), by=["tier2"])
    ledger.apply(do.WaiveLot("C 1"), by=["tier2"])
    ledger.apply(do.CancelCertificate("C"), by=["core", "shop"])
    assert [(each.state, each.holder) for each in now(ledger)] == [("waived", "tier2"), ("cancelled", "shop")]


def test_what_a_refused_instruction_would_have_done_is_no_step() -> None:
    ledger = accepted()
    with refused(ledger, "certificate.dust"):
        ledger.apply(offer("C 1", "tier2", A - 1), by=["shop"])
    assert len(now(ledger)) == 1


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with played(tmp_path, case_a()) as ledger:
        path = str(ledger.path)
        with pytest.raises(fc.NotFound):
            holdings(ledger, "cert-2")
    options = ["--keys", str(tmp_path / "keys")]
    assert cli.run(["holdings", path, "cert-1", *options]) == 0
    told = capsys.readouterr().out
    assert "cert-1 [1..36000000] of factor: 360,000.00 CNY, settled, without recourse" in told
    assert "2026-03-18  passed       maker → factor            certificate.settle_sale DVP-0001, block" in told
    assert cli.run(["holdings", path, "cert-1", "--json", *options]) == 0
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (first["last"], second["first"], second["loan"]) == (36_000_000, 36_000_001, "loan-1")
    assert first["steps"][0]["instruction"]["type"] == "certificate.issue"
    assert cli.run(["holdings", path, "cert-2", *options]) == FAILED
