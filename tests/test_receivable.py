"""A claim is submitted, confirmed, rejected and cancelled; every unit of it is somewhere, and nowhere twice."""

from __future__ import annotations

from datetime import date
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book import LEDGER, MemoryBook, digest, refused, town
from finchain import instructions as do
from finchain.domain.fingerprint import Fingerprint, fingerprint_id, normalised
from finchain.domain.receivable import Bucket, Receivable, move
from finchain.domain.rule import Absent
from finchain.errors import Refused

DUE = date(2026, 8, 31)
CLAIM = do.SubmitReceivable("R-1", "shop", "core", 120_000_000, "CNY", DUE, "INV-7", issued=date(2026, 3, 1))


@pytest.fixture
def ledger() -> MemoryBook:
    """A town in which the shop has claimed 1,200,000.00."""
    ledger = town()
    ledger.apply(CLAIM, by={"shop"})
    return ledger


def claim(ledger: MemoryBook, id: str = "R-1") -> Receivable:
    return ledger.get(Receivable, id)


def confirm(ledger: MemoryBook, amount_minor: int, id: str = "R-1") -> None:
    ledger.apply(do.ConfirmReceivable(id, amount_minor), by={"core"})


def reject(ledger: MemoryBook, amount_minor: int, id: str = "R-1") -> None:
    ledger.apply(do.RejectReceivable(id, amount_minor, "short delivery"), by={"core"})


# --- submit -----------------------------------------------------------------------------------------------------


def test_a_claim_waits_for_the_debtor(ledger: MemoryBook) -> None:
    assert (claim(ledger).claimed, claim(ledger).pending, claim(ledger).open) == (120_000_000, 120_000_000, 0)
    assert claim(ledger).status == "submitted"
    assert str(claim(ledger)) == "R-1 submitted: open 0.00, pending 1,200,000.00 CNY"


def test_a_creditors_machine_may_claim_but_nobody_else() -> None:
    for by in ({"core"}, {"bank"}, set[str]()):
        with refused(town(), "receivable.not_signed"):
            town().apply(CLAIM, by=by)
    ledger = town()
    ledger.apply(CLAIM, by=(), service={"shop"})
    assert claim(ledger).pending == 120_000_000


@pytest.mark.parametrize(
    ("member", "wrong", "code"),
    [
        ("id", "R 1", "receivable.identifier"),
        ("id", "", "receivable.identifier"),
        ("id", "x" * 65, "receivable.identifier"),
        ("creditor", "bank", "receivable.wrong_role"),
        ("creditor", "nobody", "party.not_found"),
        ("debtor", "tier2", "receivable.wrong_role"),
        ("debtor", "nobody", "party.not_found"),
        ("amount_minor", 0, "receivable.amount"),
        ("amount_minor", -1, "receivable.amount"),
        ("amount_minor", 2**53, "receivable.amount"),
        ("currency", "RMB", "receivable.currency"),
        ("invoice", " ", "receivable.reference"),
        ("invoice", "x" * 129, "receivable.reference"),
        ("invoice_code", "", "receivable.reference"),
        ("issued", date(2026, 3, 3), "receivable.date"),
        ("due", date(2026, 2, 28), "receivable.date"),
        ("contract", "C-9", "contract.not_found"),
        ("bank", "factor", "receivable.wrong_role"),
        ("bank", "nobody", "party.not_found"),
    ],
)
def test_a_claim_that_makes_no_sense_is_refused(member: str, wrong: object, code: str) -> None:
    ledger = town()
    with refused(ledger, code):
        ledger.apply(msgspec.structs.replace(CLAIM, **{member: wrong}), by={"shop", "bank"})


@pytest.mark.parametrize(
    ("member", "right"),
    [("id", "a/B.c_d:e-9"), ("id", "x" * 64), ("amount_minor", 1), ("amount_minor", 2**53 - 1), ("invoice", "x" * 128),
     ("invoice", "发票 第7号"), ("issued", date(2026, 3, 2)), ("due", date(2026, 3, 1)), ("bank", "clearer"),
     ("issued", Absent), ("currency", "JPY")],
)  # fmt: skip
def test_a_claim_at_the_edge_is_good(member: str, right: object) -> None:
    ledger = town()
    ledger.apply(msgspec.structs.replace(CLAIM, **{member: right}), by={"shop"})
    assert len(ledger.all(Receivable)) == 1


def test_one_legal_person_is_never_both_sides() -> None:
    ledger = town()
    ledger.apply(do.SetRoles("shop", ["supplier", "debtor"]), by={"registrar"})
    with refused(ledger, "receivable.wrong_role"):
        ledger.apply(msgspec.structs.replace(CLAIM, debtor="shop"), by={"shop"})


def test_a_claim_on_a_contract_is_between_its_parties_and_in_its_currency() -> None:
    ledger = town()
    contract = do.SignContract("C-1", "shop", "core", digest("c"), 120_000_000, "CNY", date(2026, 3, 2))
    ledger.apply(contract, by={"shop", "core"})
    on_contract = msgspec.structs.replace(CLAIM, contract="C-1")
    with refused(ledger, "receivable.contract"):
        ledger.apply(msgspec.structs.replace(on_contract, creditor="tier2"), by={"tier2"})
    with refused(ledger, "receivable.currency"):
        ledger.apply(msgspec.structs.replace(on_contract, currency="USD"), by={"shop"})
    ledger.apply(on_contract, by={"shop"})
    assert claim(ledger).contract == "C-1"


# --- one invoice, one claim -------------------------------------------------------------------------------------


def test_the_same_id_with_another_content_overwrites_nothing(ledger: MemoryBook) -> None:
    # domain.md 2.12, vector 22.
    with refused(ledger, "receivable.duplicate") as refusal:
        ledger.apply(msgspec.structs.replace(CLAIM, amount_minor=1), by={"shop"})
    facts = refusal.value.facts
    assert facts["digest_held"] == claim(ledger).payload
    assert facts["digest"] not in ("", facts["digest_held"])


def test_another_due_date_is_another_content(ledger: MemoryBook) -> None:
    for due, same in ((date(2026, 9, 1), False), (DUE, True)):
        with refused(ledger, "receivable.duplicate") as refusal:
            ledger.apply(msgspec.structs.replace(CLAIM, due=due), by={"shop"})
        assert (refusal.value.facts["digest"] == refusal.value.facts["digest_held"]) is same


def test_the_same_invoice_is_not_claimed_under_another_id(ledger: MemoryBook) -> None:
    for spelling in ("INV-7", "inv 7", "ＩＮＶ－７", "Inv.7"):
        with refused(ledger, "receivable.duplicate") as refusal:
            ledger.apply(msgspec.structs.replace(CLAIM, id="R-2", invoice=spelling), by={"shop"})
        assert "R-1" in refusal.value.message
    ledger.apply(msgspec.structs.replace(CLAIM, id="R-2", invoice="INV-8"), by={"shop"})


def test_a_withdrawn_claim_sets_its_invoice_free(ledger: MemoryBook) -> None:
    ledger.apply(do.CancelReceivable("R-1"), by={"shop"})
    ledger.apply(msgspec.structs.replace(CLAIM, id="R-2"), by={"shop"})
    reject(ledger, 119_999_999, "R-2")
    with refused(ledger, "receivable.duplicate"):
        ledger.apply(msgspec.structs.replace(CLAIM, id="R-3"), by={"shop"})
    reject(ledger, 1, "R-2")
    ledger.apply(msgspec.structs.replace(CLAIM, id="R-3"), by={"shop"})
    assert ledger.get(Fingerprint, claim(ledger, "R-3").fingerprint).receivable == "R-3"


def test_a_claim_that_was_settled_keeps_its_invoice(ledger: MemoryBook) -> None:
    confirm(ledger, 120_000_000)
    paid = do.SettleReceivable("R-1", 120_000_000, "shop", "bank entry 1", digest("camt"))
    ledger.apply(paid, by={"shop"})
    with refused(ledger, "receivable.duplicate"):
        ledger.apply(msgspec.structs.replace(CLAIM, id="R-2"), by={"shop"})


def print_of(**changes: object) -> str:
    named: dict[str, object] = {
        "seller": "shop", "buyer": "core", "invoice": "INV-7", "invoice_code": Absent, "issued": Absent,
        "amount_minor": 5, "currency": "CNY",
    }  # fmt: skip
    ledger = changes.pop("ledger", LEDGER)
    return fingerprint_id(ledger, **(named | changes))  # type: ignore[arg-type]


def test_a_fingerprint_depends_on_everything_that_names_the_invoice() -> None:
    changes: list[dict[str, object]] = [
        {}, {"seller": "tier2"}, {"buyer": "shop"}, {"invoice": "INV-8"}, {"invoice_code": "0440"},
        {"issued": DUE}, {"amount_minor": 6}, {"currency": "USD"}, {"ledger": "other#00"},
    ]  # fmt: skip
    assert len({print_of(**change) for change in changes}) == len(changes)


def test_a_fingerprint_is_the_same_everywhere_and_for_ever() -> None:
    written = (
        '{"amount_minor":5,"buyer":"core","currency":"CNY","invoice":"INV7","invoice_code":"","issued":"2026-08-31",'
        '"ledger":"o#00","seller":"shop","type":"finchain.fingerprint.1"}'
    )
    assert print_of(ledger="o#00", issued=DUE) == digest(written)


@pytest.mark.parametrize(
    ("written", "normal"),
    [("INV-7", "INV7"), ("inv 7", "INV7"), ("ＩＮＶ７", "INV7"), ("0012345", "0012345"), ("发票 7号", "发票7号"),
     ("---", "---"), ("ﬁ", "FI"), ("ß", "ß")],
)  # fmt: skip
def test_what_people_write_in_different_ways_is_one(written: str, normal: str) -> None:
    assert normalised(written) == normal


# --- confirm, reject, cancel ------------------------------------------------------------------------------------


def test_the_debtor_confirms_a_part_and_rejects_the_rest(ledger: MemoryBook) -> None:
    confirm(ledger, 116_000_000)
    assert str(claim(ledger)) == "R-1 part confirmed: open 1,160,000.00, pending 40,000.00 CNY"
    reject(ledger, 4_000_000)
    assert (claim(ledger).confirmed, claim(ledger).rejected, claim(ledger).free) == (
        116_000_000, 4_000_000, 116_000_000,
    )  # fmt: skip
    assert claim(ledger).status == "part_confirmed"


def test_a_claim_confirmed_in_full(ledger: MemoryBook) -> None:
    confirm(ledger, 120_000_000)
    assert claim(ledger).status == "confirmed"


@pytest.mark.parametrize("by", [{"shop"}, {"bank"}, set()])
def test_only_the_debtor_confirms_or_rejects(ledger: MemoryBook, by: set[str]) -> None:
    for instruction in (do.ConfirmReceivable("R-1", 1), do.RejectReceivable("R-1", 1, "no")):
        with refused(ledger, "receivable.not_signed"):
            ledger.apply(instruction, by=by)
        with refused(ledger, "receivable.not_signed"):
            ledger.apply(instruction, by=by, service={"core"})


def test_more_than_what_is_pending_is_never_confirmed() -> None:
    # domain.md 2.12, vector 1.
    ledger = town()
    ledger.apply(msgspec.structs.replace(CLAIM, amount_minor=100), by={"shop"})
    with refused(ledger, "receivable.over_confirm") as refusal:
        confirm(ledger, 101)
    assert refusal.value.facts == {"pending": 100, "claimed": 100}
    assert refusal.value.field == "amount_minor"
    confirm(ledger, 100)
    with refused(ledger, "receivable.over_confirm"):
        confirm(ledger, 1)
    with refused(ledger, "receivable.over_reject"):
        reject(ledger, 1)


@pytest.mark.parametrize("amount_minor", [0, -1, 2**53])
def test_amounts_outside_the_range_are_refused(ledger: MemoryBook, amount_minor: int) -> None:
    for call in (confirm, reject):
        with refused(ledger, "receivable.amount"):
            call(ledger, amount_minor)


def test_a_rejection_says_why(ledger: MemoryBook) -> None:
    with refused(ledger, "receivable.reference"):
        ledger.apply(do.RejectReceivable("R-1", 1, ""), by={"core"})


def test_a_claim_that_nobody_made_cannot_be_confirmed(ledger: MemoryBook) -> None:
    for instruction in (
        do.ConfirmReceivable("R-9", 1),
        do.RejectReceivable("R-9", 1, "no"),
        do.CancelReceivable("R-9"),
    ):
        with refused(ledger, "receivable.not_found"):
            ledger.apply(instruction, by={"core", "shop"})


def test_an_overdue_claim_may_still_be_confirmed(ledger: MemoryBook) -> None:
    ledger.move_to(date(2026, 8, 31))
    assert not claim(ledger).overdue(ledger.today)
    ledger.move_to(date(2026, 9, 1))
    assert claim(ledger).overdue(ledger.today)
    confirm(ledger, 120_000_000)
    assert claim(ledger).overdue(ledger.today)


def test_defences_are_waived_for_what_was_confirmed_so(ledger: MemoryBook) -> None:
    ledger.apply(do.ConfirmReceivable("R-1", 7, waives_defences=True), by={"core"})
    ledger.apply(do.ConfirmReceivable("R-1", 5, waives_defences=False), by={"core"})
    confirm(ledger, 3)
    assert (claim(ledger).confirmed, claim(ledger).waived) == (15, 7)


def test_only_an_untouched_claim_is_cancelled_and_by_its_creditor(ledger: MemoryBook) -> None:
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(do.CancelReceivable("R-1"), by={"core"})
    ledger.apply(do.CancelReceivable("R-1"), by={"shop"})
    assert (claim(ledger).status, claim(ledger).cancelled) == ("cancelled", 120_000_000)
    with refused(ledger, "receivable.bad_state"):
        ledger.apply(do.CancelReceivable("R-1"), by={"shop"})
    with refused(ledger, "receivable.over_confirm"):
        confirm(ledger, 1)


@pytest.mark.parametrize("touch", [confirm, reject])
def test_a_claim_that_the_debtor_touched_is_not_cancelled(ledger: MemoryBook, touch: object) -> None:
    assert callable(touch)
    touch(ledger, 1)
    with refused(ledger, "receivable.bad_state"):
        ledger.apply(do.CancelReceivable("R-1"), by={"shop"})


def test_a_claim_rejected_in_full(ledger: MemoryBook) -> None:
    reject(ledger, 120_000_000)
    assert claim(ledger).status == "rejected"
    assert not claim(ledger).live


# --- buckets ----------------------------------------------------------------------------------------------------


def test_other_instruments_move_amounts_between_buckets(ledger: MemoryBook) -> None:
    confirm(ledger, 1_000)
    moved = move(claim(ledger), 600, "free", "converted")
    assert (moved.free, moved.converted, moved.open, moved.confirmed) == (400, 600, 400, 1_000)
    with pytest.raises(Refused) as refusal:
        move(moved, 401, "free", "reserved")
    assert refusal.value.code == "receivable.insufficient_free"
    assert refusal.value.facts["free"] == 400
    with pytest.raises(Refused) as refusal:
        move(moved, 601, "converted", "conv_settled")
    assert refusal.value.code == "receivable.insufficient_converted"


BUCKETS = get_args(Bucket)


@given(
    st.lists(st.integers(0, 100), min_size=len(BUCKETS), max_size=len(BUCKETS)),
    st.lists(st.tuples(st.sampled_from(BUCKETS), st.sampled_from(BUCKETS), st.integers(0, 60)), max_size=20),
)
def test_whatever_moves_between_buckets_the_sum_stays(
    amounts: list[int], moves: list[tuple[Bucket, Bucket, int]]
) -> None:
    """I-2 and I-3: a move is made in full or refused, and no unit is made or lost by it."""
    whole = sum(amounts)
    moved = Receivable(
        id="R", creditor="shop", debtor="core", currency="CNY", due=DUE, invoice="I", fingerprint="", payload="",
        claimed=whole, pending=0, confirmed=whole, **dict(zip(BUCKETS, amounts, strict=True)),
    )  # fmt: skip
    for source, target, amount in moves:
        before = {bucket: getattr(moved, bucket) for bucket in BUCKETS}
        if amount > before[source]:
            with pytest.raises(Refused):
                move(moved, amount, source, target)
            continue
        moved = move(moved, amount, source, target)
        after = {bucket: getattr(moved, bucket) for bucket in BUCKETS}
        expected = before | {source: before[source] - amount}
        expected[target] += amount
        assert after == expected
    closed = (moved.converted, moved.conv_settled, moved.settled, moved.credited, moved.setoff, moved.written_off)
    assert moved.open + moved.disputed_post + sum(closed) == whole
    assert moved.open == moved.free + moved.reserved + moved.assigned + moved.pledged


@pytest.mark.parametrize(
    ("bucket", "status"),
    [
        ("converted", "confirmed"), ("pledged", "confirmed"), ("assigned", "confirmed"), ("reserved", "confirmed"),
        ("settled", "settled"), ("conv_settled", "settled"), ("credited", "settled"), ("setoff", "settled"),
        ("written_off", "written_off"), ("disputed_free", "disputed"), ("disputed_pledged", "disputed"),
    ],
)  # fmt: skip
def test_the_status_is_read_off_the_buckets(ledger: MemoryBook, bucket: Bucket, status: str) -> None:
    confirm(ledger, 120_000_000)
    assert move(claim(ledger), 120_000_000, "free", bucket).status == status
    if status == "settled" and bucket in ("settled", "conv_settled"):
        assert move(claim(ledger), 1, "free", bucket).status == "part_settled"


def test_a_record_stays_small(ledger: MemoryBook) -> None:
    confirm(ledger, 120_000_000)
    assert len(msgspec.json.encode(claim(ledger))) < 700
