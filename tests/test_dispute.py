"""A debtor denies a part of a claim, before or after it confirmed; the part stays where it was until it is resolved."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from book import MemoryBook, digest, refused, town
from finchain import instructions as do
from finchain.domain.dilution import Dilution, dilution_bp
from finchain.domain.dispute import Dispute
from finchain.domain.part import Part
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent
from invariants import check_all

DUE = date(2026, 8, 31)
DENY = do.DisputeReceivable("D-1", "R-1", "confirmed", 100, "broken screens")
BOTH = {"shop", "core"}


@pytest.fixture
def ledger() -> MemoryBook:
    """A claim of 1,000: 600 confirmed with defences kept, of which 200 are pledged to the bank; 400 pending."""
    ledger = town()
    ledger.apply(do.SubmitReceivable("R-1", "shop", "core", 1_000, "CNY", DUE, "INV-7"), by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 600), by={"core"})
    pledge = do.PledgeReceivable("P-1", "R-1", "bank", 200, "0123", ledger.time_ms, digest("collateral"))
    ledger.apply(pledge, by={"shop", "bank"})
    return ledger


def claim(ledger: MemoryBook) -> Receivable:
    return ledger.get(Receivable, "R-1")


def deny(ledger: MemoryBook, **changes: object) -> None:
    ledger.apply(msgspec.structs.replace(DENY, **changes), by={"core"})


# --- denying ----------------------------------------------------------------------------------------------------


def test_what_is_pending_can_be_denied_to_the_last_unit(ledger: MemoryBook) -> None:
    with refused(ledger, "receivable.over_dispute"):
        deny(ledger, stage="pending", amount_minor=401)
    deny(ledger, stage="pending", amount_minor=400)
    assert (claim(ledger).pending, claim(ledger).disputed_pre, claim(ledger).status) == (0, 400, "disputed")
    with refused(ledger, "receivable.over_confirm"):
        ledger.apply(do.ConfirmReceivable("R-1", 1), by={"core"})


def test_only_the_disputed_amount_stops(ledger: MemoryBook) -> None:
    # domain.md 2.12, vector 2: 600 are confirmed and 400 denied; 700 cannot be financed.
    deny(ledger, stage="pending", amount_minor=400)
    ledger.apply(do.ReleaseReceivable("P-1", 200), by={"bank"})
    take = do.AssignReceivable("A-1", "R-1", "factor", 700)
    with refused(ledger, "receivable.insufficient_free") as refusal:
        ledger.apply(take, by={"shop", "factor"})
    assert refusal.value.facts["free"] == 600
    ledger.apply(msgspec.structs.replace(take, amount_minor=600), by={"shop", "factor"})


def test_the_free_part_can_be_denied_where_defences_were_kept(ledger: MemoryBook) -> None:
    with refused(ledger, "receivable.insufficient_free"):
        deny(ledger, amount_minor=401)
    deny(ledger, amount_minor=400)
    assert (claim(ledger).free, claim(ledger).disputed_free, claim(ledger).disputed_post) == (0, 400, 400)
    assert claim(ledger).status == "disputed"
    check_all(ledger)


@pytest.mark.parametrize("paid", [0, 50])
def test_waived_units_are_the_last_to_go_and_are_never_denied(ledger: MemoryBook, paid: int) -> None:
    ledger.apply(do.ConfirmReceivable("R-1", 150, waives_defences=True), by={"core"})
    if paid:
        ledger.apply(do.SettleReceivable("R-1", paid, "shop", "entry 1", digest("camt")), by={"shop"})
    # 750 are confirmed, 150 of them for good, 200 pledged.
    deny(ledger, amount_minor=550 - paid)
    with refused(ledger, "receivable.waived") as refusal:
        deny(ledger, id="D-2", amount_minor=51, part="P-1", notice=digest("n"))
    assert refusal.value.facts == {"open": 200, "waived": 150}
    deny(ledger, id="D-2", amount_minor=50, part="P-1", notice=digest("n"))
    check_all(ledger)


def test_a_pledged_part_stays_pledged_while_it_is_denied(ledger: MemoryBook) -> None:
    with refused(ledger, "receivable.not_notified"):
        deny(ledger, part="P-1")
    with refused(ledger, "receivable.digest"):
        deny(ledger, part="P-1", notice="x")
    with refused(ledger, "part.insufficient"):
        deny(ledger, part="P-1", notice=digest("n"), amount_minor=201)
    deny(ledger, part="P-1", notice=digest("n"), amount_minor=200)
    part = ledger.get(Part, "P-1")
    assert (part.amount_minor, part.disputed_minor) == (0, 200)
    assert (claim(ledger).pledged, claim(ledger).disputed_pledged) == (0, 200)
    with refused(ledger, "part.insufficient"):
        ledger.apply(do.ReleaseReceivable("P-1", 1), by={"bank"})
    check_all(ledger)


def test_the_holders_signature_is_notice_to_it(ledger: MemoryBook) -> None:
    ledger.apply(msgspec.structs.replace(DENY, part="P-1"), by={"core", "bank"})
    assert ledger.get(Dispute, "D-1").notice is Absent
    assert claim(ledger).disputed_pledged == 100


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": "D 1"}, "dispute.identifier"), ({"receivable": "R-9"}, "receivable.not_found"),
        ({"amount_minor": 0}, "receivable.amount"), ({"reason": ""}, "receivable.reference"),
        ({"part": "P-9"}, "part.not_found"), ({"stage": "pending", "part": "P-1"}, "receivable.bad_state"),
        ({"stage": "pending", "notice": digest("n")}, "receivable.bad_state"),
    ],
)  # fmt: skip
def test_a_dispute_that_makes_no_sense_is_refused(ledger: MemoryBook, changes: dict[str, object], code: str) -> None:
    with refused(ledger, code):
        deny(ledger, **changes)


def test_only_the_debtor_denies_and_each_dispute_has_an_id_of_its_own(ledger: MemoryBook) -> None:
    for by in ("shop", "bank", "court"):
        with refused(ledger, "receivable.not_signed"):
            ledger.apply(DENY, by={by})
    deny(ledger)
    with refused(ledger, "dispute.duplicate"):
        deny(ledger, amount_minor=1)


def test_a_certificate_is_not_disputed_through_its_claim(ledger: MemoryBook) -> None:
    issue = do.IssueCertificate(
        "C-1", "core", "shop", 400, "CNY", DUE, [do.ClaimShare("R-1", 400)], "clearer", "pro_solvendo"
    )  # fmt: skip
    ledger.apply(issue, by={"core"})
    with refused(ledger, "receivable.insufficient_free"):
        deny(ledger, amount_minor=1)


# --- resolving --------------------------------------------------------------------------------------------------


def test_what_was_pending_is_confirmed_or_rejected_at_last(ledger: MemoryBook) -> None:
    deny(ledger, stage="pending", amount_minor=400)
    ledger.apply(do.ResolveDispute("D-1", 250, 100), by=BOTH)
    shown = claim(ledger)
    assert (shown.confirmed, shown.rejected, shown.disputed_pre, shown.waived) == (850, 100, 50, 250)
    assert ledger.get(Dispute, "D-1").open_minor == 50
    ledger.apply(do.ResolveDispute("D-1", 0, 50), by=BOTH)
    assert claim(ledger).status == "part_confirmed"
    check_all(ledger)


def test_a_claim_found_not_owed_at_all_frees_its_invoice() -> None:
    ledger = town()
    ledger.apply(do.SubmitReceivable("R-1", "shop", "core", 1_000, "CNY", DUE, "INV-7"), by={"shop"})
    deny(ledger, stage="pending", amount_minor=1_000)
    ledger.apply(do.ResolveDispute("D-1", 0, 1_000), by=BOTH)
    assert claim(ledger).status == "rejected"
    ledger.apply(do.SubmitReceivable("R-2", "shop", "core", 1_000, "CNY", DUE, "INV-7"), by={"shop"})


def test_of_a_pledged_part_what_is_owed_goes_back_and_the_rest_is_credited(ledger: MemoryBook) -> None:
    deny(ledger, part="P-1", notice=digest("n"), amount_minor=200)
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(do.ResolveDispute("D-1", 150, 50), by=BOTH)
    ledger.apply(do.ResolveDispute("D-1", 150, 50), by={*BOTH, "bank"})
    part = ledger.get(Part, "P-1")
    assert (part.amount_minor, part.disputed_minor, part.credited_minor) == (150, 0, 50)
    assert (claim(ledger).pledged, claim(ledger).disputed_post, claim(ledger).credited) == (150, 0, 50)
    check_all(ledger)


def test_what_was_found_owed_is_not_denied_again(ledger: MemoryBook) -> None:
    deny(ledger, amount_minor=400)
    ledger.apply(do.ResolveDispute("D-1", 400, 0), by=BOTH)
    with refused(ledger, "receivable.waived"):
        deny(ledger, id="D-2", amount_minor=201)
    deny(ledger, id="D-2", amount_minor=200)


@pytest.mark.parametrize("missing", ["shop", "core"])
def test_both_sides_resolve(ledger: MemoryBook, missing: str) -> None:
    deny(ledger)
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(do.ResolveDispute("D-1", 100, 0), by=BOTH - {missing})


def test_an_award_stands_for_the_signatures_of_the_parties(ledger: MemoryBook) -> None:
    deny(ledger, part="P-1", notice=digest("n"))
    award = do.ResolveDispute("D-1", 60, 40, "court", digest("award"))
    with refused(ledger, "receivable.not_signed"):
        ledger.apply(award, by={*BOTH, "bank"})
    with refused(ledger, "receivable.wrong_role"):
        ledger.apply(msgspec.structs.replace(award, arbiter="carrier"), by={"carrier"})
    for wrong in ("x", Absent):
        with refused(ledger, "receivable.digest"):
            ledger.apply(msgspec.structs.replace(award, award=wrong), by={"court"})
    with refused(ledger, "receivable.award"):
        ledger.apply(msgspec.structs.replace(award, arbiter=Absent), by={*BOTH, "bank"})
    ledger.apply(award, by={"court"})
    assert (ledger.get(Dispute, "D-1").award, claim(ledger).credited) == (digest("award"), 40)


@pytest.mark.parametrize(
    ("owed", "reduced", "code"),
    [(0, 0, "receivable.over_resolve"), (100, 1, "receivable.over_resolve"), (-1, 100, "receivable.amount"),
     (101, -1, "receivable.amount"), (99, 1, ""), (1, 0, "")],
)  # fmt: skip
def test_no_more_is_resolved_than_was_denied(ledger: MemoryBook, owed: int, reduced: int, code: str) -> None:
    deny(ledger)
    if code:
        with refused(ledger, code):
            ledger.apply(do.ResolveDispute("D-1", owed, reduced), by=BOTH)
    else:
        ledger.apply(do.ResolveDispute("D-1", owed, reduced), by=BOTH)
        assert ledger.get(Dispute, "D-1").open_minor == 100 - owed - reduced


# --- dilution ---------------------------------------------------------------------------------------------------


def test_what_is_credited_counts_against_the_debtor_for_twelve_months(ledger: MemoryBook) -> None:
    assert dilution_bp(ledger.book(), "core", "CNY") == 0
    assert dilution_bp(ledger.book(), "tier2", "CNY") == 0
    deny(ledger)
    ledger.apply(do.ResolveDispute("D-1", 10, 90), by=BOTH)
    assert dilution_bp(ledger.book(), "core", "CNY") == 1_500  # 90 of 600
    ledger.move_to(date(2027, 2, 28))
    assert dilution_bp(ledger.book(), "core", "CNY") == 1_500
    ledger.apply(do.ConfirmReceivable("R-1", 400), by={"core"})
    assert dilution_bp(ledger.book(), "core", "CNY") == 900
    ledger.move_to(date(2027, 3, 1))
    assert dilution_bp(ledger.book(), "core", "CNY") == 0  # March 2026 is over.
    deny(ledger, id="D-2", amount_minor=10)
    ledger.apply(do.ResolveDispute("D-2", 0, 10), by=BOTH)
    kept = ledger.get(Dilution, "core CNY").months
    assert [(month.first, month.confirmed_minor, month.credited_minor) for month in kept] == [
        (date(2027, 2, 1), 400, 0), (date(2027, 3, 1), 0, 10),
    ]  # fmt: skip


def test_the_dilution_of_old_confirmations_is_at_most_the_whole(ledger: MemoryBook) -> None:
    deny(ledger)
    ledger.advance(400)
    ledger.apply(do.ResolveDispute("D-1", 0, 100), by=BOTH)
    assert dilution_bp(ledger.book(), "core", "CNY") == 10_000


def test_a_months_sum_that_no_number_can_hold_is_refused(ledger: MemoryBook) -> None:
    most = 2**53 - 1
    for number, code in ((8, "dilution.amount"), (9, "")):
        amount = most if code else most - 600
        claim_id = f"R-{number}"
        submit = do.SubmitReceivable(claim_id, "shop", "core", amount, "CNY", DUE, f"INV-{number}")
        ledger.apply(submit, by={"shop"})
        if code:
            with refused(ledger, code):
                ledger.apply(do.ConfirmReceivable(claim_id, amount), by={"core"})
        else:
            ledger.apply(do.ConfirmReceivable(claim_id, amount), by={"core"})
