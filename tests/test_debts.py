"""One amount for several debts: the order of Civil Code 560 over evidence, and the payment that follows it."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book import MemoryBook, digest, refused, town
from finchain import instructions as do
from finchain.domain.arithmetic import Rate
from finchain.domain.cash import Cash
from finchain.domain.debts import DEBTS_MAX, Debt, divide_payment, ranked
from finchain.domain.late import LateInterest
from finchain.domain.loan import Loan
from finchain.domain.part import Part
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent
from invariants import check_all
from stories import ACCOUNT, LOAN, but
from test_loan_guarantee import OFFER

TODAY = date(2026, 6, 30)
BEFORE, AFTER = date(2026, 5, 1), date(2026, 7, 1)


def debt(id: str, owed_minor: int = 100, due: date = TODAY, **evidence: Any) -> Debt:
    return Debt(id=id, owed_minor=owed_minor, due=due, **evidence)


def order(*debts: Debt, chosen: tuple[str, ...] = ()) -> list[str]:
    """The ids in their order, those that share a rank as one word."""
    return ["".join(each.id for each in rank) for rank in ranked(debts, TODAY, chosen)]


# --- the order, over evidence ----------------------------------------------------------------------------------


def test_each_step_of_the_law_decides_what_the_steps_before_it_left_open() -> None:
    dear, cheap = Rate(5, 100), Rate(50, 1_001)
    coming = debt("A", due=AFTER, rate=dear)
    secured = debt("B", due=BEFORE, secured_minor=100, rate=dear)
    half = debt("C", due=BEFORE, secured_minor=50, rate=dear)
    less = debt("D", due=BEFORE, rate=cheap)
    more = debt("E", rate=dear)
    older, twin = debt("F", due=BEFORE, rate=dear), debt("G", due=BEFORE, rate=dear)
    assert order(coming, secured, half, less, more, older, twin) == ["FG", "E", "D", "C", "B", "A"]
    every = (coming, secured, half, less, more, older, twin)
    assert order(*every, chosen=("A", "D")) == ["A", "D", "FG", "E", "C", "B"]


def test_what_is_due_today_is_due() -> None:
    assert order(debt("A", due=AFTER), debt("B", secured_minor=100)) == ["B", "A"]
    assert order(debt("A", due=BEFORE, secured_minor=1), debt("B")) == ["B", "A"]


def test_security_is_what_part_of_a_debt_it_covers_and_more_than_all_is_all() -> None:
    """40 on 100 is less than 5 on 10, though it is more money; 300 on 100 is no more than 100 on 100."""
    assert order(debt("A", 10, secured_minor=5), debt("B", 100, secured_minor=40)) == ["B", "A"]
    assert order(debt("A", secured_minor=300), debt("B", secured_minor=100)) == ["AB"]


def test_rates_of_other_scales_are_one_burden() -> None:
    assert order(debt("A", rate=Rate(5, 100)), debt("B", rate=Rate(500, 10_000))) == ["AB"]


@pytest.mark.parametrize(
    ("paid", "shares"),
    [
        (0, (0, 0, 0)), (99, (99, 0, 0)), (100, (100, 0, 0)), (101, (100, 0, 1)), (250, (100, 50, 100)),
        (400, (100, 100, 200)),
    ],
)  # fmt: skip
def test_rank_by_rank_and_within_a_rank_in_proportion(paid: int, shares: tuple[int, int, int]) -> None:
    debts = [debt("A", due=BEFORE), debt("B", 100), debt("C", 200)]
    assert tuple(divide_payment(debts, paid, TODAY).values()) == shares


def test_more_than_is_owed_has_no_place() -> None:
    for paid in (-1, 101):
        with pytest.raises(ValueError, match="between nothing and what is owed"):
            divide_payment([debt("A")], paid, TODAY)
    assert divide_payment([debt("A"), debt("B", 0)], 100, TODAY) == {"A": 100, "B": 0}


some_debts = st.lists(
    st.builds(
        Debt, id=st.uuids().map(str), owed_minor=st.integers(0, 50), due=st.sampled_from([BEFORE, TODAY, AFTER]),
        secured_minor=st.integers(0, 60), rate=st.builds(Rate, st.integers(0, 3), st.just(100)),
    ),
    min_size=1, max_size=6, unique_by=lambda each: each.id,
)  # fmt: skip


@given(debts=some_debts, choices=st.data())
def test_nothing_is_lost_and_a_later_debt_waits(debts: list[Debt], choices: st.DataObject) -> None:
    paid = choices.draw(st.integers(0, sum(each.owed_minor for each in debts)))
    chosen = choices.draw(st.lists(st.sampled_from([each.id for each in debts]), unique=True))
    shares = divide_payment(debts, paid, TODAY, chosen)
    assert sum(shares.values()) == paid
    assert all(0 <= shares[each.id] <= each.owed_minor for each in debts)
    ranks = ranked(debts, TODAY, chosen)
    for better, worse in pairwise(ranks):
        if any(shares[each.id] for each in worse):
            assert all(shares[each.id] == each.owed_minor for each in better)


# --- the payment, on a ledger ----------------------------------------------------------------------------------

CLAIM = do.SubmitReceivable("R-1", "shop", "core", 1_000, "CNY", TODAY, "INV-1")
PAID = do.ReceiveForDebts("core", "shop", 1_200, [], ["R-1", "R-2"], [], "IN-1", digest("in"))


def owed(**changes: Any) -> MemoryBook:
    """The customer owes the shop 10.00 due in June and 10.00 due in May, and it is June."""
    ledger = town()
    first = msgspec.structs.replace(CLAIM, **changes)
    second = msgspec.structs.replace(first, id="R-2", invoice="INV-2", due=BEFORE)
    ledger.apply(first, second, by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 1_000), do.ConfirmReceivable("R-2", 1_000), by={"core"})
    ledger.move_to(TODAY)
    return ledger


def settled(ledger: MemoryBook) -> dict[str, int]:
    return {each.id: each.settled for each in ledger.all(Receivable)}


def cash(ledger: MemoryBook) -> dict[str, int]:
    return {each.id.removesuffix(" CNY"): each.net_minor for each in ledger.all(Cash)}


def test_one_amount_pays_the_claim_that_was_due_first() -> None:
    ledger = owed()
    ledger.apply(PAID, by={"shop"})
    check_all(ledger)
    assert settled(ledger) == {"R-1": 200, "R-2": 1_000}
    assert cash(ledger) == {"core": -1_200, "shop": 1_200}


def test_the_debtor_chooses_with_its_signature() -> None:
    ledger = owed()
    chosen = msgspec.structs.replace(PAID, chosen=["R-1"])
    with refused(ledger, "debt.not_signed"):
        ledger.apply(chosen, by={"shop"})
    ledger.apply(chosen, by={"shop", "core"})
    assert settled(ledger) == {"R-1": 1_000, "R-2": 200}


def test_interest_for_late_payment_makes_a_debt_burdensome_and_is_charged() -> None:
    """Both are late since May: the one that bears interest is paid first, and earns its 0.05% a day for 60 days."""
    ledger = owed(due=BEFORE)
    ledger.apply(
        msgspec.structs.replace(CLAIM, id="R-3", invoice="INV-3", due=BEFORE, late=do.LateTerms()), by={"shop"}
    )
    ledger.apply(do.ConfirmReceivable("R-3", 1_000), by={"core"})
    ledger.apply(msgspec.structs.replace(PAID, receivables=["R-1", "R-3"]), by={"shop"})
    assert settled(ledger) == {"R-1": 200, "R-2": 0, "R-3": 1_000}
    assert [(each.receivable, each.posted_minor) for each in ledger.all(LateInterest)] == [("R-3", 30)]


@pytest.mark.parametrize(
    ("changes", "by", "code"),
    [
        ({"amount_minor": 2_001}, {"shop"}, "debt.over_paid"), ({"amount_minor": 0}, {"shop"}, "debt.amount"),
        ({"receivables": ["R-1"]}, {"shop"}, "debt.debts"), ({"receivables": ["R-1", "R-1"]}, {"shop"}, "debt.debts"),
        ({"receivables": ["R-1", "R-9"]}, {"shop"}, "receivable.not_found"),
        ({"debtor": "payee"}, {"shop"}, "debt.other_debt"), ({"creditor": "tier2"}, {"tier2"}, "debt.other_debt"),
        ({"chosen": ["R-9"]}, {"shop", "core"}, "debt.chosen"),
        ({"chosen": ["R-1", "R-1"]}, {"shop", "core"}, "debt.chosen"), ({}, {"core"}, "debt.not_signed"),
        ({"value_date": AFTER}, {"shop"}, "debt.value_date"), ({"digest": "no"}, {"shop"}, "debt.digest"),
        ({"parts": ["P-9"]}, {"shop"}, "part.not_found"), ({"loans": ["L-9"]}, {"shop"}, "loan.not_found"),
    ],
)  # fmt: skip
def test_a_payment_that_makes_no_sense_is_refused(changes: dict[str, Any], by: set[str], code: str) -> None:
    ledger = owed()
    with refused(ledger, code):
        ledger.apply(msgspec.structs.replace(PAID, **changes), by=by)
    ledger.copy().apply(msgspec.structs.replace(PAID, amount_minor=2_000), by={"shop"})


def test_so_many_debts_at_most() -> None:
    ledger = town()
    names = [f"R-{number}" for number in range(DEBTS_MAX + 1)]
    for name in names:
        ledger.apply(msgspec.structs.replace(CLAIM, id=name, invoice=name), by={"shop"})
        ledger.apply(do.ConfirmReceivable(name, 1), by={"core"})
    most = msgspec.structs.replace(PAID, amount_minor=DEBTS_MAX, receivables=names[:-1])
    with refused(ledger, "debt.debts"):
        ledger.apply(msgspec.structs.replace(most, receivables=names), by={"shop"})
    ledger.apply(most, by={"shop"})
    assert sum(settled(ledger).values()) == DEBTS_MAX


def test_a_bank_that_is_named_states_it_and_there_is_only_one() -> None:
    ledger = owed(bank="clearer")
    with refused(ledger, "debt.not_signed"):
        ledger.apply(PAID, by={"shop"})
    ledger.copy().apply(PAID, by=set(), service={"clearer"})
    other = msgspec.structs.replace(CLAIM, id="R-3", invoice="INV-3", bank="bank")
    ledger.apply(other, by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-3", 1_000), by={"core"})
    with refused(ledger, "debt.banks"):
        ledger.apply(msgspec.structs.replace(PAID, receivables=["R-1", "R-3"]), by={"clearer", "bank"})


def test_an_entry_of_the_bank_counts_once_wherever_it_is_stated() -> None:
    ledger = owed(bank="clearer")
    ledger.apply(do.SettleReceivable("R-1", 10, "shop", "IN-1", digest("in")), by={"clearer"})
    with refused(ledger, "debt.duplicate"):
        ledger.apply(PAID, by={"clearer"})


def test_a_factor_that_holds_two_parts_is_paid_by_one_amount() -> None:
    ledger = owed()
    ledger.apply(
        do.AssignReceivable("P-1", "R-1", "factor", 600, notice=digest("one")),
        do.AssignReceivable("P-2", "R-1", "factor", 300, notice=digest("two")), by={"shop", "factor"},
    )  # fmt: skip
    paid = msgspec.structs.replace(PAID, creditor="factor", amount_minor=90, receivables=[], parts=["P-1", "P-2"])
    with refused(ledger, "debt.other_debt"):
        ledger.apply(msgspec.structs.replace(paid, receivables=["R-2"]), by={"factor"})
    ledger.apply(paid, by={"factor"})
    check_all(ledger)
    assert [each.settled_minor for each in ledger.all(Part)] == [60, 30], "of one claim they share in proportion"


LINE = but(LOAN, limit_minor=100_000, available_until=date(2026, 3, 20), maturity=BEFORE)


def borrowed(today: date = BEFORE) -> MemoryBook:
    """The shop owes its bank 20.00 on a secured line, and 10.00 on one whose collateral a credit note took.

    Both are due on the first of May.
    """
    ledger = town()
    ledger.move_to(date(2026, 3, 6))
    ledger.apply(msgspec.structs.replace(CLAIM, amount_minor=10_000), by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 10_000), by={"core"})
    ledger.apply(ACCOUNT, by={"shop", "bank"})
    for name, lent in (("L-1", 2_000), ("L-2", 1_000)):
        pledge = do.PledgeReceivable(f"P {name}".replace(" ", "-"), "R-1", "bank", 3_000, name, 0, digest(name))
        draw = do.DrawLoan(name, "one", lent)
        ledger.apply(but(LINE, id=name), pledge, do.SecureLoan(name, pledge.id), draw, by={"shop", "bank"})
        ledger.apply(do.DisburseLoan(name, "one", lent, f"OUT {name}", digest("out")), by={"bank"})
    ledger.apply(do.CreditReceivable("N", "R-1", 3_000, "CN-1", digest("note"), "P-L-2"), by={"shop", "bank"})
    ledger.move_to(today)
    return ledger


def test_the_loan_that_is_secured_least_is_repaid_first_with_its_interest() -> None:
    """56 days at 4.35% are 7 on 10.00 and 14 on 20.00: 1,500 repay the second loan and 493 of the first."""
    ledger = borrowed()
    repaid = do.ReceiveForDebts("shop", "bank", 1_500, ["L-1", "L-2"], [], [], "IN-1", digest("in"))
    with refused(ledger, "debt.over_paid"):
        ledger.apply(msgspec.structs.replace(repaid, amount_minor=3_022), by={"bank"})
    before = cash(ledger)
    ledger.apply(repaid, by=set(), service={"bank"})
    check_all(ledger)
    first, second = ledger.get(Loan, "L-1"), ledger.get(Loan, "L-2")
    assert (first.repaid_minor, first.charges["interest"].paid_minor) == (493 - 14, 14)
    assert (second.repaid_minor, second.charges["interest"].paid_minor, second.status) == (1_000, 7, "ended")
    assert cash(ledger)["bank"] - before["bank"] == 1_500
    rest = msgspec.structs.replace(repaid, amount_minor=3_021)
    ledger = borrowed()
    ledger.apply(rest, by={"bank"})
    assert {each.status for each in ledger.all(Loan)} == {"ended"}


def test_a_loan_that_is_not_due_is_prepaid_by_notice_and_not_by_the_way() -> None:
    ledger = borrowed()
    early = msgspec.structs.replace(
        do.ReceiveForDebts("shop", "bank", 100, ["L-1", "L-2"], [], [], "IN-1", digest("in")),
        value_date=date(2026, 4, 30),
    )
    with refused(ledger, "loan.not_due"):
        ledger.apply(early, by={"bank"})
    ledger.apply(msgspec.structs.replace(early, value_date=Absent), by={"bank"})


def test_a_guarantee_is_security_too() -> None:
    """Both loans have lost their pledge; the second is guaranteed, so the first is secured least and repaid first."""
    ledger = town()
    ledger.move_to(date(2026, 3, 6))
    ledger.apply(ACCOUNT, by={"shop", "bank"})
    ledger.apply(but(OFFER, debt="L-2"), by={"guarantor"})
    ledger.apply(msgspec.structs.replace(CLAIM, amount_minor=10_000), by={"shop"})
    ledger.apply(do.ConfirmReceivable("R-1", 10_000), by={"core"})
    for name, guarantees in (("L-1", Absent), ("L-2", ["G"])):
        pledge = do.PledgeReceivable(f"P-{name}", "R-1", "bank", 3_000, name, 0, digest(name))
        line = but(LINE, id=name, guarantees=guarantees)
        ledger.apply(line, pledge, do.SecureLoan(name, pledge.id), do.DrawLoan(name, "one", 1_000), by={"shop", "bank"})
        ledger.apply(do.DisburseLoan(name, "one", 1_000, f"OUT {name}", digest("out")), by={"bank"})
        note = do.CreditReceivable(f"N-{name}", "R-1", 3_000, name, digest("note"), pledge.id)
        ledger.apply(note, by={"shop", "bank"})
    ledger.move_to(BEFORE)
    ledger.apply(do.ReceiveForDebts("shop", "bank", 1_000, ["L-1", "L-2"], [], [], "IN", digest("in")), by={"bank"})
    check_all(ledger)
    assert [each.repaid_minor for each in ledger.all(Loan)] == [1_000 - 7, 0]
