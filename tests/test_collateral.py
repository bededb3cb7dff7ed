"""A loan on claims: what its pledged parts secure, what their money repays, and when the lender is told of a gap.

The shop has a claim of 1,000.00 on its customer, pledges 800.00 of it to its bank, and may draw nine tenths of that.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from book import MemoryBook, digest, refused, town
from finchain import instructions as do
from finchain.domain.account import Account
from finchain.domain.cash import Cash
from finchain.domain.loan import COLLATERAL_MAX, Loan, collateral_minor, lendable_minor
from finchain.domain.part import Part
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent, Instruction
from invariants import check_all
from stories import ACCOUNT, LOAN, but
from test_loan_guarantee import OFFER, compensate

DAY, DUE = date(2026, 3, 6), date(2026, 6, 30)
BOTH = {"shop", "bank"}
LINE = but(LOAN, limit_minor=100_000, maturity=DUE)
PLEDGE = do.PledgeReceivable("P", "R", "bank", 80_000, "0306-7001", 0, digest("description"), notice=digest("notice"))
SECURE = do.SecureLoan("L", "P")


def apply(ledger: MemoryBook, *instructions: Instruction, by: set[str]) -> None:
    ledger.apply(*instructions, by=by)
    check_all(ledger)


def pledged(line: do.AgreeLoan = LINE) -> MemoryBook:
    """A part of 800.00 is pledged, and a line is agreed that nothing secures yet."""
    ledger = town()
    ledger.move_to(DAY)
    apply(ledger, do.SubmitReceivable("R", "shop", "core", 100_000, "CNY", DUE, "INV-7", bank="clearer"), by={"shop"})
    apply(ledger, do.ConfirmReceivable("R", 100_000), by={"core"})
    apply(ledger, ACCOUNT, line, PLEDGE, by=BOTH)
    return ledger


def lent(amount_minor: int = 72_000, line: do.AgreeLoan = LINE) -> MemoryBook:
    """So much of it is on the controlled account."""
    ledger = pledged(line)
    apply(ledger, SECURE, do.DrawLoan("L", "one", amount_minor), by=BOTH)
    apply(ledger, do.DisburseLoan("L", "one", amount_minor, "OUT-1", digest("out")), by={"bank"})
    return ledger


def settle(amount_minor: int, payee: str = "bank", **changes: Any) -> do.SettleReceivable:
    paid = do.SettleReceivable("R", amount_minor, payee, "IN-1", digest("in"), part="P")
    return msgspec.structs.replace(paid, **changes)


def cash(ledger: MemoryBook) -> dict[str, int]:
    return {each.id.removesuffix(" CNY"): each.net_minor for each in ledger.all(Cash)}


def test_a_pledged_part_secures_nine_tenths_of_what_is_open_of_it() -> None:
    ledger = pledged()
    one = do.DrawLoan("L", "one", 1)
    with refused(ledger, "loan.over_advance"):
        ledger.apply(one, by=BOTH)
    apply(ledger, SECURE, by=BOTH)
    with refused(ledger, "loan.over_advance"):
        ledger.apply(but(one, amount_minor=72_001), by=BOTH)
    apply(ledger, but(one, amount_minor=72_000), by=BOTH)
    loan = ledger.get(Loan, "L")
    assert (loan.claims, ledger.get(Part, "P").loan) == (("P",), "L")
    assert (collateral_minor(loan, ledger.book()), lendable_minor(loan, ledger.book())) == (80_000, 72_000)


@pytest.mark.parametrize("missing", ["shop", "bank"])
def test_borrower_and_lender_sign(missing: str) -> None:
    ledger = pledged()
    with refused(ledger, "loan.not_signed"):
        ledger.apply(SECURE, by=BOTH - {missing})


def test_only_what_the_borrower_pledged_to_the_lender_secures_its_loan() -> None:
    ledger = pledged()
    apply(ledger, do.AssignReceivable("A", "R", "bank", 1_000), by=BOTH)
    apply(ledger, but(PLEDGE, id="F", pledgee="factor", amount_minor=1_000), by={"shop", "factor"})
    for part in ("A", "F"):
        with refused(ledger, "loan.other_claim"):
            ledger.apply(but(SECURE, part=part), by=BOTH)
    with refused(ledger, "part.not_found"):
        ledger.apply(but(SECURE, part="X"), by=BOTH)
    apply(ledger, but(ACCOUNT, id="usd", currency="USD"), but(LINE, id="U", account="usd"), by=BOTH)
    with refused(ledger, "loan.other_claim"):
        ledger.apply(but(SECURE, id="U"), by=BOTH)
    apply(ledger, SECURE, by=BOTH)
    with refused(ledger, "loan.bad_state"):
        ledger.apply(SECURE, by=BOTH)
    apply(ledger, do.CloseLoan("L"), by={"shop"})
    with refused(ledger, "loan.bad_state"):
        ledger.apply(SECURE, by=BOTH)


def test_what_a_loan_needs_is_not_given_back() -> None:
    """45.00 of principal need 50.00 of collateral: 750.00 of the 800.00 can be released, and not a cent more."""
    ledger = lent(4_500)
    with refused(ledger, "loan.over_advance"):
        ledger.apply(do.ReleaseReceivable("P", 75_001), by={"bank"})
    with refused(ledger, "part.insufficient"):
        ledger.apply(do.ReleaseReceivable("P", 80_001), by={"bank"})
    apply(ledger, do.ReleaseReceivable("P", 75_000), by={"bank"})
    assert ledger.get(Receivable, "R").free == 95_000


def test_a_part_that_a_loan_came_to_rest_on_is_not_reversed() -> None:
    ledger = pledged()
    everyone = {"shop", "bank", "core"}
    ledger.copy().apply(do.ReversePart("P", "wrong claim"), by=everyone)
    apply(ledger, SECURE, by=BOTH)
    with refused(ledger, "receivable.dependant"):
        ledger.apply(do.ReversePart("P", "wrong claim"), by=everyone)


@pytest.mark.parametrize("lost", [8_000, 8_001])
@pytest.mark.parametrize(
    ("event", "by"),
    [
        (do.DisputeReceivable("D", "R", "confirmed", 1, "damaged", "P", digest("notice")), {"core"}),
        (do.CreditReceivable("N", "R", 1, "CN-1", digest("note"), "P"), BOTH),
        (
            do.SetOffReceivable("S", "R", 1, do.Counter(digest("bill"), 9_000, DAY, DUE), "P"), {"shop", "bank", "core"}
        ),
        (settle(1, "shop"), {"clearer"}),
    ],
)  # fmt: skip
def test_i_13_whatever_makes_the_collateral_too_small_is_noted(event: Any, by: set[str], lost: int) -> None:
    """64,800 are lent on 80,000. 72,000 still secure that and 71,999 do not; the note refuses nothing."""
    ledger = lent(64_800)
    if isinstance(event, do.SettleReceivable):
        # Before notice the debtor may pay the creditor, and the lender's part is gone without its money.
        ledger.records[Part, "P"] = but(ledger.get(Part, "P"), notified=Absent, notified_ms=Absent)
    apply(ledger, but(event, amount_minor=lost), by=by)
    expected = ["loan L: 64800 outstanding, its collateral secures 64799"] if lost == 8_001 else []
    assert ledger.notes == expected


def test_i_13_a_write_off_is_noted() -> None:
    ledger = lent()
    ledger.move_to(date(2026, 7, 1))
    apply(ledger, do.WriteOffReceivable("W", "R", 1, "gone", digest("gone"), "P"), by=BOTH)
    assert ledger.notes == ["loan L: 72000 outstanding, its collateral secures 71999"]


def test_the_money_of_a_pledged_part_repays_the_loan_and_the_surplus_is_the_shops() -> None:
    """116 days at 4.35% on 720.00 are 10.09: of 800.00 the bank keeps 730.09, and the shop gets 69.91."""
    ledger = lent()
    ledger.move_to(DUE)
    before = cash(ledger)
    apply(ledger, settle(80_000), by={"clearer"})
    after = cash(ledger)
    assert {name: after[name] - before.get(name, 0) for name in after} == {
        "core": -80_000,
        "bank": 73_009,
        "shop": 6_991,
    }
    loan = ledger.get(Loan, "L")
    assert (loan.status, loan.claims, loan.outstanding_minor) == ("ended", (), 0)
    assert ledger.get(Part, "P").loan is Absent


def test_a_loan_that_is_repaid_gives_back_what_is_open_of_its_parts() -> None:
    """The pledge ends with the debt (Civil Code 393): nobody has to sign that the 800.00 are the shop's again."""
    ledger = lent()
    ledger.move_to(DUE)
    apply(ledger, do.ReceiveRepayment("L", 73_009, "IN-2", digest("repaid")), by={"bank"})
    claim, part = ledger.get(Receivable, "R"), ledger.get(Part, "P")
    assert (claim.pledged, claim.free) == (0, 100_000)
    assert (part.released_minor, part.amount_minor, part.loan) == (80_000, 0, Absent)


def test_what_is_disputed_of_them_waits_for_the_end_of_the_dispute() -> None:
    ledger = lent()
    dispute = do.DisputeReceivable("D", "R", "confirmed", 5_000, "damaged", "P", digest("notice"))
    apply(ledger, dispute, by={"core"})
    ledger.move_to(DUE)
    apply(ledger, do.ReceiveRepayment("L", 73_009, "IN-2", digest("repaid")), by={"bank"})
    assert (ledger.get(Part, "P").disputed_minor, ledger.get(Part, "P").loan) == (5_000, Absent)
    apply(ledger, do.ResolveDispute("D", 5_000, 0), by={"shop", "core", "bank"})
    apply(ledger, do.ReleaseReceivable("P", 5_000), by={"bank"})
    assert ledger.get(Receivable, "R").free == 100_000


def test_before_the_loan_is_due_the_money_waits_on_the_controlled_account() -> None:
    """Where prepayment was not agreed nobody repays early, and the money stays where the lender can see it."""
    ledger = lent(line=but(LINE, prepayment="none"))
    ledger.advance(30)
    apply(ledger, settle(80_000), by={"clearer"})
    assert ledger.get(Loan, "L").outstanding_minor == 72_000
    assert ledger.get(Account, "acc").settled_minor == 72_000 + 80_000
    assert ledger.notes == ["loan L: 72000 outstanding, its collateral secures 0"]


def test_a_loan_names_so_many_lots_and_parts_and_those_that_are_done_make_room() -> None:
    ledger = pledged()
    for number in range(COLLATERAL_MAX):
        part = but(PLEDGE, id=f"P{number}", amount_minor=1)
        ledger.records[Part, part.id] = but(ledger.get(Part, "P"), id=part.id, loan="L")
    names = tuple(f"P{number}" for number in range(COLLATERAL_MAX))
    ledger.records[Loan, "L"] = but(ledger.get(Loan, "L"), claims=names)
    with refused(ledger, "loan.collateral"):
        ledger.apply(SECURE, by=BOTH)
    done = but(ledger.get(Part, "P7"), amount_minor=0, settled_minor=80_000)
    ledger.records[Part, "P7"] = done
    ledger.apply(SECURE, by=BOTH)
    assert ledger.get(Loan, "L").claims == (*names[:7], *names[8:], "P")
    assert ledger.get(Part, "P7").loan is Absent


def test_who_paid_in_the_borrowers_place_is_paid_out_of_the_pledge_before_the_borrower() -> None:
    """The guarantor paid 576.00 the day after; of 800.00 the bank gets its rest, then the guarantor its own."""
    ledger = town()
    ledger.move_to(DAY)
    apply(ledger, do.SubmitReceivable("R", "shop", "core", 100_000, "CNY", DUE, "INV-7", bank="clearer"), by={"shop"})
    apply(ledger, do.ConfirmReceivable("R", 100_000), by={"core"})
    apply(ledger, OFFER, by={"guarantor"})
    apply(ledger, ACCOUNT, but(LINE, guarantees=["G"]), PLEDGE, SECURE, do.DrawLoan("L", "one", 72_000), by=BOTH)
    apply(ledger, do.DisburseLoan("L", "one", 72_000, "OUT-1", digest("out")), by={"bank"})
    ledger.move_to(DUE + timedelta(1))
    compensate(ledger, 57_600)
    assert ledger.get(Part, "P").loan == "L"
    before = cash(ledger)
    apply(ledger, settle(80_000), by={"clearer"})
    after = cash(ledger)
    assert after["guarantor"] == 0 < after["shop"] - before["shop"]
    assert after["bank"] - before["bank"] == 80_000 - 57_600 - (after["shop"] - before["shop"])
    assert (ledger.get(Loan, "L").status, ledger.get(Part, "P").loan) == ("ended", Absent)
