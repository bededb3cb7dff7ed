"""Credit notes, set-off and write-off: each signed by who loses, each reversed in its month by the same hands."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from book import MemoryBook, digest, refused, town
from finchain import instructions as do
from finchain.domain.certificate import Certificate
from finchain.domain.dilution import dilution_bp
from finchain.domain.part import PARTS_MAX, Part
from finchain.domain.receivable import Receivable
from finchain.domain.reduction import Counterclaim, Reduction
from finchain.domain.rule import Absent, Instruction
from invariants import check_all

DUE = date(2026, 8, 31)
CREDIT = do.CreditReceivable("X-1", "R-1", 100, "CN-1", digest("credit note"))
COUNTER = do.Counter(digest("counter"), 150, date(2026, 3, 2), DUE)
SET_OFF = do.SetOffReceivable("X-1", "R-1", 100, COUNTER)
WRITE_OFF = do.WriteOffReceivable("X-1", "R-1", 100, "insolvent", digest("court list"))
LATE = date(2026, 9, 1)


@pytest.fixture
def ledger() -> MemoryBook:
    """A claim of 1,000: 600 confirmed, of which 200 are pledged to the bank and 100 assigned to the factor."""
    ledger = town()
    ledger.apply(do.SubmitReceivable("R-1", "shop", "core", 1_000, "CNY", DUE, "INV-7"), by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 600), by={"core"})
    pledge = do.PledgeReceivable("P-1", "R-1", "bank", 200, "0123", ledger.time_ms, digest("collateral"))
    ledger.apply(pledge, by={"shop", "bank"})
    ledger.apply(do.AssignReceivable("A-1", "R-1", "factor", 100), by={"shop", "factor"})
    return ledger


def claim(ledger: MemoryBook, id: str = "R-1") -> Receivable:
    return ledger.get(Receivable, id)


def of(instruction: Instruction, **changes: object) -> Instruction:
    return msgspec.structs.replace(instruction, **changes)


# --- who signs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instruction", "part", "signers"),
    [
        (CREDIT, Absent, {"shop"}), (CREDIT, "P-1", {"shop", "bank"}), (CREDIT, "A-1", {"shop", "factor"}),
        (SET_OFF, Absent, {"core", "shop"}), (SET_OFF, "P-1", {"core", "shop", "bank"}),
        (SET_OFF, "A-1", {"core", "factor"}),
        (WRITE_OFF, Absent, {"shop"}), (WRITE_OFF, "P-1", {"shop", "bank"}), (WRITE_OFF, "A-1", {"factor"}),
    ],
)  # fmt: skip
def test_whoever_loses_signs_and_signs_again_to_reverse(
    ledger: MemoryBook, instruction: Instruction, part: object, signers: set[str]
) -> None:
    ledger.move_to(LATE)
    instruction = of(instruction, part=part)
    before = claim(ledger)
    for missing in signers:
        with refused(ledger, "receivable.not_signed"):
            ledger.apply(instruction, by=signers - {missing} | {"payee"})
    ledger.apply(instruction, by=signers)
    check_all(ledger)
    assert claim(ledger).open == 500
    assert set(ledger.get(Reduction, "X-1").signers) == signers
    for missing in signers:
        with refused(ledger, "receivable.not_signed"):
            ledger.apply(do.ReverseReduction("X-1", "typed twice"), by=signers - {missing} | {"payee"})
    ledger.apply(do.ReverseReduction("X-1", "typed twice"), by=signers)
    assert claim(ledger) == before
    check_all(ledger)


@pytest.mark.parametrize(("part", "most"), [(Absent, 300), ("P-1", 200), ("A-1", 100)])
@pytest.mark.parametrize("instruction", [CREDIT, SET_OFF, WRITE_OFF])
def test_no_more_is_taken_than_is_open(ledger: MemoryBook, instruction: Instruction, part: object, most: int) -> None:
    ledger.move_to(LATE)
    changes: dict[str, object] = {"part": part}
    if instruction is SET_OFF:
        changes["counterclaim"] = msgspec.structs.replace(COUNTER, amount_minor=1_000)
    code = "receivable.insufficient_free" if part is Absent else "part.insufficient"
    everybody = {"shop", "core", "bank", "factor"}
    with refused(ledger, code):
        ledger.apply(of(instruction, amount_minor=most + 1, **changes), by=everybody)
    ledger.apply(of(instruction, amount_minor=most, **changes), by=everybody)
    if part is not Absent:
        assert ledger.get(Part, str(part)).amount_minor == 0
    check_all(ledger)


@pytest.mark.parametrize("instruction", [CREDIT, SET_OFF, WRITE_OFF])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": "X 1"}, "reduction.identifier"), ({"receivable": "R-9"}, "receivable.not_found"),
        ({"amount_minor": 0}, "receivable.amount"), ({"part": "P-9"}, "part.not_found"),
    ],
)  # fmt: skip
def test_a_reduction_that_makes_no_sense_is_refused(
    ledger: MemoryBook, instruction: Instruction, changes: dict[str, object], code: str
) -> None:
    ledger.move_to(LATE)
    with refused(ledger, code):
        ledger.apply(of(instruction, **changes), by={"shop", "core"})


def test_papers_and_reasons_are_stated(ledger: MemoryBook) -> None:
    ledger.move_to(LATE)
    for instruction in (CREDIT, WRITE_OFF):
        with refused(ledger, "receivable.digest"):
            ledger.apply(of(instruction, digest="x"), by={"shop"})
    with refused(ledger, "receivable.reference"):
        ledger.apply(of(WRITE_OFF, reason=""), by={"shop"})
    with refused(ledger, "receivable.reference"):
        ledger.apply(of(CREDIT, number=" "), by={"shop"})


# --- the same number, another content ---------------------------------------------------------------------------


def test_the_same_id_with_another_amount_overwrites_nothing(ledger: MemoryBook) -> None:
    # domain.md 2.12, vector 22.
    ledger.apply(CREDIT, by={"shop"})
    with refused(ledger, "reduction.duplicate") as refusal:
        ledger.apply(of(CREDIT, amount_minor=99), by={"shop"})
    assert refusal.value.facts["digest"] != refusal.value.facts["digest_held"]
    assert "overwritten" in refusal.value.advice
    with refused(ledger, "reduction.duplicate") as refusal:
        ledger.apply(CREDIT, by={"shop"})
    assert refusal.value.facts["digest"] == refusal.value.facts["digest_held"]
    assert refusal.value.advice == "none is possible: it was done the first time"


def test_a_creditor_uses_the_number_of_a_credit_note_once(ledger: MemoryBook) -> None:
    ledger.apply(CREDIT, by={"shop"})
    for spelling in ("CN-1", "cn 1", "ＣＮ１"):
        with refused(ledger, "receivable.duplicate") as refusal:
            ledger.apply(of(CREDIT, id="X-2", number=spelling), by={"shop"})
        assert refusal.value.facts["digest"] != refusal.value.facts["digest_held"]
    ledger.apply(of(CREDIT, id="X-2", number="CN-2"), by={"shop"})
    other = do.SubmitReceivable("R-2", "tier2", "core", 500, "CNY", DUE, "INV-7")
    ledger.apply(other, by={"tier2"})
    ledger.apply(do.ConfirmReceivable("R-2", 500), by={"core"})
    ledger.apply(of(CREDIT, id="X-3", receivable="R-2"), by={"tier2"})


# --- credit notes and dilution ----------------------------------------------------------------------------------


def test_a_credit_note_is_dilution_until_it_is_reversed(ledger: MemoryBook) -> None:
    ledger.apply(of(CREDIT, amount_minor=60), by={"shop"})
    assert dilution_bp(ledger.book(), "core", "CNY") == 1_000
    ledger.apply(do.ReverseReduction("X-1", "wrong customer"), by={"shop"})
    assert dilution_bp(ledger.book(), "core", "CNY") == 0


def with_certificate(ledger: MemoryBook) -> None:
    issue = do.IssueCertificate(
        "C-1", "core", "shop", 300, "CNY", DUE, [do.ClaimShare("R-1", 300)], "clearer", "pro_solvendo"
    )  # fmt: skip
    ledger.apply(issue, by={"core"})
    ledger.apply(do.AcceptCertificate("C-1"), by={"shop"})


def test_a_credit_note_after_the_certificate_is_a_claim_the_other_way(ledger: MemoryBook) -> None:
    # domain.md 2.12, vector 27.
    with_certificate(ledger)
    with refused(ledger, "receivable.insufficient_free"):
        ledger.apply(of(CREDIT, amount_minor=10), by={"shop"})
    before = ledger.get(Certificate, "C-1")
    back = do.CreditConverted("B-1", "R-1", 10, "CN-1", DUE)
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(back, by={"core"})
    ledger.apply(back, by={"shop"})
    assert ledger.get(Certificate, "C-1") == before
    new = claim(ledger, "B-1")
    assert (new.creditor, new.debtor, new.free, new.status) == ("core", "shop", 10, "confirmed")
    assert (claim(ledger).converted, claim(ledger).owed_back) == (300, 10)
    # The shop has not the role of a debtor, and yet the defences of one.
    ledger.copy().apply(do.DisputeReceivable("D-1", "B-1", "confirmed", 10, "counted twice"), by={"shop"})
    ledger.apply(do.SettleReceivable("B-1", 10, "core", "entry 1", digest("camt")), by={"core"})
    assert claim(ledger, "B-1").status == "settled"
    check_all(ledger)


def test_no_more_is_owed_back_than_certificates_were_made_of(ledger: MemoryBook) -> None:
    back = do.CreditConverted("B-1", "R-1", 300, "CN-1", DUE)
    with refused(ledger, "receivable.insufficient_converted"):
        ledger.apply(of(back, amount_minor=1), by={"shop"})
    with_certificate(ledger)
    with refused(ledger, "receivable.insufficient_converted"):
        ledger.apply(of(back, amount_minor=301), by={"shop"})
    ledger.apply(back, by={"shop"})
    with refused(ledger, "receivable.insufficient_converted") as refusal:
        ledger.apply(of(back, id="B-2", amount_minor=1, number="CN-2"), by={"shop"})
    assert "credit up to" not in refusal.value.advice, "there is nothing left to credit"
    with refused(ledger, "receivable.duplicate"):
        ledger.apply(of(back, amount_minor=1), by={"shop"})
    with refused(ledger, "receivable.identifier"):
        ledger.apply(of(back, id="B 2"), by={"shop"})


# --- set-off ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, True), ({"arose": date(2026, 3, 12)}, True), ({"arose": date(2026, 3, 13)}, False),
        ({"due": date(2026, 9, 1)}, False), ({"due": date(2026, 8, 30)}, True),
        ({"due": date(2026, 9, 1), "contract": "C-1"}, True), ({"arose": date(2026, 3, 20), "contract": "C-1"}, True),
        ({"due": date(2026, 9, 1), "contract": "C-2"}, False),
    ],
)  # fmt: skip
def test_after_notice_only_some_counterclaims_are_good(changes: dict[str, object], allowed: bool) -> None:
    """Civil Code 549: there at notice and due no later, or of the same contract."""
    ledger = town()
    contract = do.SignContract("C-1", "shop", "core", digest("c"), 1_000, "CNY", date(2026, 3, 2))
    ledger.apply(contract, by={"shop", "core"})
    submit = do.SubmitReceivable("R-1", "shop", "core", 1_000, "CNY", DUE, "INV-7", contract="C-1")
    ledger.apply(submit, by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 600), by={"core"})
    ledger.apply(do.AssignReceivable("A-1", "R-1", "factor", 100), by={"shop", "factor"})
    ledger.advance(10)
    ledger.apply(do.NotifyDebtor("A-1", "factor", digest("n")), by={"factor"})
    ledger.advance(10)
    set_off = of(SET_OFF, part="A-1", counterclaim=msgspec.structs.replace(COUNTER, **changes))
    if allowed:
        ledger.apply(set_off, by={"core", "factor"})
        assert (claim(ledger).setoff, claim(ledger).assigned) == (100, 0)
    else:
        with refused(ledger, "receivable.no_set_off"):
            ledger.apply(set_off, by={"core", "factor"})


def test_before_notice_a_counterclaim_must_be_there_today(ledger: MemoryBook) -> None:
    for arose, code in ((date(2026, 3, 3), "receivable.date"), (date(2026, 3, 2), "")):
        set_off = of(SET_OFF, part="A-1", counterclaim=msgspec.structs.replace(COUNTER, arose=arose))
        if code:
            with refused(ledger, code):
                ledger.apply(set_off, by={"core", "factor"})
        else:
            ledger.apply(set_off, by={"core", "factor"})


def test_creditor_and_debtor_set_off_between_them_as_they_agree(ledger: MemoryBook) -> None:
    late = msgspec.structs.replace(COUNTER, due=date(2027, 1, 1))
    ledger.apply(of(SET_OFF, counterclaim=late), by={"core", "shop"})
    assert claim(ledger).setoff == 100


def test_a_counterclaim_is_used_up_once_and_stays_what_it_was(ledger: MemoryBook) -> None:
    ledger.apply(SET_OFF, by={"core", "shop"})
    with refused(ledger, "receivable.over_set_off") as refusal:
        ledger.apply(of(SET_OFF, id="X-2", amount_minor=51), by={"core", "shop"})
    assert refusal.value.advice == "set off up to 50"
    more = msgspec.structs.replace(COUNTER, amount_minor=1_000)
    with refused(ledger, "receivable.duplicate"):
        ledger.apply(of(SET_OFF, id="X-2", counterclaim=more), by={"core", "shop"})
    ledger.apply(of(SET_OFF, id="X-2", amount_minor=50), by={"core", "shop"})
    ledger.apply(do.ReverseReduction("X-1", "it was another invoice"), by={"core", "shop"})
    assert ledger.get(Counterclaim, f"core {digest('counter')}").used_minor == 50
    ledger.apply(of(SET_OFF, id="X-3"), by={"core", "shop"})
    check_all(ledger)


def test_an_award_sets_off_without_the_parties(ledger: MemoryBook) -> None:
    award = of(SET_OFF, part="A-1", arbiter="court", award=digest("award"))
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(award, by={"core", "factor", "shop"})
    with refused(ledger, "receivable.wrong_role"):
        ledger.apply(of(award, arbiter="factor"), by={"factor"})
    with refused(ledger, "receivable.digest"):
        ledger.apply(of(award, award=Absent), by={"court"})
    with refused(ledger, "receivable.award"):
        ledger.apply(of(award, arbiter=Absent), by={"core", "factor"})
    ledger.apply(award, by={"court"})
    assert claim(ledger).setoff == 100
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(do.ReverseReduction("X-1", "no"), by={"core", "factor"})


@pytest.mark.parametrize(
    ("changes", "code"), [({"digest": "x"}, "receivable.digest"), ({"amount_minor": 0}, "receivable.amount")]
)  # fmt: skip
def test_a_counterclaim_that_makes_no_sense_is_refused(
    ledger: MemoryBook, changes: dict[str, object], code: str
) -> None:
    with refused(ledger, code):
        counter = msgspec.structs.replace(COUNTER, **changes)
        ledger.apply(of(SET_OFF, counterclaim=counter), by={"core", "shop"})


# --- write-off --------------------------------------------------------------------------------------------------


def test_only_what_is_overdue_is_written_off(ledger: MemoryBook) -> None:
    ledger.move_to(DUE)
    with refused(ledger, "receivable.bad_state"):
        ledger.apply(WRITE_OFF, by={"shop"})
    ledger.move_to(LATE)
    ledger.apply(of(WRITE_OFF, amount_minor=300), by={"shop"})
    assert claim(ledger).written_off == 300


# --- reversal ---------------------------------------------------------------------------------------------------


def test_a_reversal_is_of_the_same_month_and_final(ledger: MemoryBook) -> None:
    ledger.move_to(date(2026, 3, 31))
    ledger.apply(CREDIT, by={"shop"})
    ledger.apply(of(CREDIT, id="X-2", number="CN-2"), by={"shop"})
    with refused(ledger, "reduction.not_found"):
        ledger.apply(do.ReverseReduction("X-9", "no"), by={"shop"})
    with refused(ledger, "receivable.reference"):
        ledger.apply(do.ReverseReduction("X-1", ""), by={"shop"})
    ledger.apply(do.ReverseReduction("X-1", "wrong customer"), by={"shop"})
    with refused(ledger, "receivable.bad_state"):
        ledger.apply(do.ReverseReduction("X-1", "once more"), by={"shop"})
    ledger.move_to(date(2026, 4, 1))
    with refused(ledger, "receivable.period"):
        ledger.apply(do.ReverseReduction("X-2", "too late"), by={"shop"})


def test_a_part_is_reversed_while_it_is_untouched(ledger: MemoryBook) -> None:
    # domain.md 2.12, vector 21, for claims: what something came to depend on stays.
    undo = do.ReversePart("A-1", "wrong factor")
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(undo, by={"shop"})
    with refused(ledger, "receivable.reference"):
        ledger.apply(of(undo, reason=""), by={"shop", "factor"})
    ledger.apply(of(CREDIT, part="A-1", amount_minor=1), by={"shop", "factor"})
    with refused(ledger, "receivable.dependant"):
        ledger.apply(undo, by={"shop", "factor"})
    ledger.apply(do.ReverseReduction("X-1", "first this"), by={"shop", "factor"})
    ledger.apply(undo, by={"shop", "factor"})
    part = ledger.get(Part, "A-1")
    assert (part.amount_minor, part.reversed_minor, claim(ledger).assigned, claim(ledger).free) == (0, 100, 0, 400)
    with refused(ledger, "receivable.dependant"):
        ledger.apply(undo, by={"shop", "factor"})
    check_all(ledger)


def test_a_debtor_that_was_told_signs_the_reversal_too(ledger: MemoryBook) -> None:
    ledger.apply(do.NotifyDebtor("P-1", "bank", digest("n")), by={"bank"})
    undo = do.ReversePart("P-1", "wrong bank")
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(undo, by={"shop", "bank"})
    ledger.move_to(date(2026, 4, 1))
    with refused(ledger, "receivable.period"):
        ledger.apply(undo, by={"shop", "bank", "core"})
    assert claim(ledger).pledged == 200


def test_a_told_debtor_that_signs_lets_a_part_be_reversed(ledger: MemoryBook) -> None:
    ledger.apply(do.NotifyDebtor("P-1", "bank", digest("n")), by={"bank"})
    ledger.move_to(date(2026, 3, 31))
    ledger.apply(do.ReversePart("P-1", "wrong bank"), by={"shop", "bank", "core"})
    assert (claim(ledger).pledged, claim(ledger).free) == (0, 500)


def test_a_part_that_a_reversal_brings_back_is_known_to_its_claim_again(ledger: MemoryBook) -> None:
    ledger.apply(of(CREDIT, part="A-1", amount_minor=40), by={"shop", "factor"})
    ledger.apply(do.ReleaseReceivable("A-1", 60), by={"factor"})
    small = do.AssignReceivable("", "R-1", "factor", 1)
    for number in range(PARTS_MAX - 1):
        ledger.apply(of(small, id=f"S-{number}"), by={"shop", "factor"})
    assert "A-1" not in claim(ledger).parts
    back = do.ReverseReduction("X-1", "wrong customer")
    with refused(ledger, "receivable.parts"):
        ledger.apply(back, by={"shop", "factor"})
    ledger.apply(do.ReleaseReceivable("S-7", 1), by={"factor"})
    ledger.apply(back, by={"shop", "factor"})
    assert ledger.get(Part, "A-1").amount_minor == 40
    check_all(ledger)


def test_what_was_written_off_is_owed_and_can_be_paid(ledger: MemoryBook) -> None:
    """The books take it back with the money, to the cent; what was paid is written off no more, and stays paid."""
    ledger.move_to(LATE)
    ledger.apply(do.WriteOffReceivable("W", "R-1", 300, "no trace", digest("no trace")), by={"shop"})
    paid = do.RecoverReceivable("W", 100, "shop", "late money", digest("late money"))
    with refused(ledger, "receivable.over_recover"):
        ledger.apply(msgspec.structs.replace(paid, amount_minor=301), by={"shop"})
    with refused(ledger, "receivable.wrong_payee"):
        ledger.apply(msgspec.structs.replace(paid, payee="factor"), by={"factor"})
    ledger.apply(paid, by={"shop"})
    claim = ledger.get(Receivable, "R-1")
    assert (claim.written_off, claim.settled) == (200, 100)
    check_all(ledger)
    with refused(ledger, "receivable.dependant"):
        ledger.apply(do.ReverseReduction("W", "an error"), by={"shop"})
    rest = msgspec.structs.replace(paid, amount_minor=200, reference="the rest")
    ledger.copy().apply(rest, by={"shop"})
    with refused(ledger, "receivable.over_recover"):
        ledger.apply(msgspec.structs.replace(rest, amount_minor=201), by={"shop"})


def test_only_a_write_off_is_recovered_and_only_while_it_stands(ledger: MemoryBook) -> None:
    ledger.move_to(LATE)
    ledger.apply(do.CreditReceivable("N", "R-1", 10, "CN-1", digest("credit")), by={"shop"})
    ledger.apply(do.WriteOffReceivable("W", "R-1", 200, "no trace", digest("no trace")), by={"shop"})
    ledger.apply(do.ReverseReduction("W", "an error"), by={"shop"})
    for id in ("N", "W"):
        with refused(ledger, "receivable.over_recover"):
            ledger.apply(do.RecoverReceivable(id, 1, "shop", "late money", digest("late")), by={"shop"})


def test_a_part_that_was_written_off_is_paid_to_its_holder(ledger: MemoryBook) -> None:
    ledger.apply(do.AssignReceivable("P", "R-1", "factor", 300, notice=digest("notice")), by={"shop", "factor"})
    ledger.move_to(LATE)
    ledger.apply(do.WriteOffReceivable("W", "R-1", 300, "no trace", digest("no trace"), "P"), by={"factor"})
    with refused(ledger, "receivable.wrong_payee"):
        ledger.apply(do.RecoverReceivable("W", 300, "shop", "late money", digest("late")), by={"shop"})
    ledger.apply(do.RecoverReceivable("W", 300, "factor", "late money", digest("late")), by={"factor"})
    part = ledger.get(Part, "P")
    assert (part.written_off_minor, part.settled_minor) == (0, 300)
    check_all(ledger)
