"""An amount from end to end: Cases A, B and C to the fen, an account that two loans fill, and what does not add up."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from datetime import date
from itertools import takewhile
from pathlib import Path

import msgspec
import pytest

import finchain as fc
from book import digest
from default_deal import step, without_guarantee
from finchain import cli
from finchain import instructions as do
from finchain.cli.exit_codes import FAILED, TAMPERED
from finchain.demo_deal import ACCOUNT, PAYEE_1, PAYEE_2, Step, paper
from finchain.domain.account import Account
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Loan
from finchain.domain.payment import Payment
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent, Instruction, Record
from finchain.outcome import Change
from finchain.report import Flow, Trace, trace
from finchain.report.scope import scope_of
from finchain.report.trace import trace_of
from played_deal import RECOVERY_DAY, case_a, case_b, case_c, played, recovered, until_maturity

BOARDS, SCREENS = PAYEE_1.name, PAYEE_2.name
Row = tuple[str, str, int]


def rows(flows: Iterable[Flow], day: date | None = None) -> list[Row]:
    """What flowed, on a day where one is given."""
    return [(str(each.source), str(each.target), each.amount_minor) for each in flows if day in (None, each.day)]


def uses(found: Trace) -> list[Row]:
    return [(str(use.origin), str(use.holder), use.amount_minor) for use in found.uses]


def total(found: Trace, source: str, target: str) -> int:
    """All that flowed between kinds of nodes."""
    return sum(each.amount_minor for each in found.money if (each.source.kind, each.target.kind) == (source, target))


def test_each_fen_that_was_lent_went_to_the_stated_payees(tmp_path: Path) -> None:
    """Case A: of 72 m, mainboards got 67 m and screens 5 m, which had come back once and were paid again."""
    with played(tmp_path, case_a()) as ledger:
        found = trace(ledger, "claim-1")
    assert found.balanced
    assert uses(found) == [
        ("draw loan-1 draw-1", f"payee {BOARDS}", 45_000_000), ("draw loan-1 draw-1", f"payee {SCREENS}", 5_000_000),
        ("draw loan-1 draw-2", f"payee {BOARDS}", 22_000_000),
    ]  # fmt: skip
    assert sum(use.amount_minor for use in found.uses) == total(found, "party", "draw") == 72_000_000
    # The stages from the account on: 77 m were paid, 5 m of them came back.
    assert total(found, "draw", "account") == 72_000_000
    assert total(found, "account", "payment") == total(found, "payment", "payee") == 77_000_000
    assert total(found, "payee", "payment") == total(found, "payment", "account") == 5_000_000
    assert rows(found.money, date(2026, 3, 10)) == [
        (f"payee {SCREENS}", "payment payment-2", 5_000_000),
        ("payment payment-2", f"account {ACCOUNT}", 5_000_000),
    ]
    assert {str(each.origin) for each in found.money if each.target.kind == "payment"} == {
        "draw loan-1 draw-1", "draw loan-1 draw-2",
    }  # fmt: skip


def test_from_the_claim_to_what_was_pledged(tmp_path: Path) -> None:
    with played(tmp_path, case_a()) as ledger:
        found = trace(ledger, "claim-1")
    assert rows(found.rights) == [
        ("receivable claim-1", "certificate cert-1", 116_000_000), ("certificate cert-1", "lot cert-1 1", 36_000_000),
        ("certificate cert-1", "lot cert-1 36000001", 80_000_000), ("lot cert-1 36000001", "loan loan-1", 80_000_000),
    ]  # fmt: skip


def test_one_payment_of_the_debtor_reaches_everybody(tmp_path: Path) -> None:
    """Case A, 7.1 step 7: the factor 36 m, the bank 63,341,250, the shop the rest."""
    with played(tmp_path, case_a()) as ledger:
        found = trace(ledger, "cert-1")
    assert rows(found.money, date(2026, 8, 31)) == [
        ("party daqi", "certificate cert-1", 116_000_000), ("certificate cert-1", "lot cert-1 1", 36_000_000),
        ("certificate cert-1", "lot cert-1 36000001", 80_000_000), ("lot cert-1 1", "party factor", 36_000_000),
        ("lot cert-1 36000001", "loan loan-1", 63_341_250), ("lot cert-1 36000001", "party shop", 16_658_750),
        ("loan loan-1", "interest loan-1", 1_341_250), ("loan loan-1", "principal loan-1", 62_000_000),
    ]  # fmt: skip
    assert rows(found.money, date(2026, 3, 18)) == [
        ("party factor", "lot cert-1 1", 35_203_200), ("lot cert-1 1", "party maker", 35_203_200),
    ]  # fmt: skip
    assert {each.reference for each in found.money if each.day == date(2026, 8, 31)} == {"PAY-0001"}


def test_a_guarantor_pays_and_gets_back(tmp_path: Path) -> None:
    """Case B: 52.8 m to the lots, of which the loan takes 28,858,491; a month later 6.8 m come back (steps 8 and 9)."""
    with played(tmp_path, recovered()) as ledger:
        found = trace(ledger, "claim-1")
    assert found.balanced
    assert rows(each for each in found.money if each.order == "guarantee.compensate") == [
        ("party surety", "guarantee guarantee-1", 52_800_000),
        ("guarantee guarantee-1", "lot cert-1 1", 16_386_207),
        ("guarantee guarantee-1", "lot cert-1 36000001", 36_413_793),
        ("lot cert-1 1", "party factor", 16_386_207), ("lot cert-1 36000001", "loan loan-1", 28_858_491),
        ("lot cert-1 36000001", "party shop", 7_555_302), ("loan loan-1", "principal loan-1", 28_858_491),
    ]  # fmt: skip
    back = [each for each in found.money if each.day == RECOVERY_DAY and each.target.kind == "party"]
    assert [(each.target.id, each.amount_minor) for each in back] == [
        ("surety", 2_110_345), ("factor", 4_096_552), ("surety", 4_689_655), ("shop", 9_103_448),
    ]  # fmt: skip
    assert 2_110_345 + 4_689_655 == 6_800_000
    assert total(found, "party", "certificate") == total(found, "certificate", "lot") == 70_000_000


def test_the_borrower_repays_what_the_debtor_did_not(tmp_path: Path) -> None:
    """Case C: of 34,482,759 from the lot 1,341,250 are interest; the shop pays the rest with its penalty of 104,612."""
    with played(tmp_path, case_c()) as ledger:
        found = trace(ledger, "loan-1")
    assert found.balanced
    assert rows(found.money)[-6:] == [
        ("lot cert-1 36000001", "loan loan-1", 34_482_759), ("loan loan-1", "interest loan-1", 1_341_250),
        ("loan loan-1", "principal loan-1", 33_141_509), ("party shop", "loan loan-1", 28_963_103),
        ("loan loan-1", "penalty loan-1", 104_612), ("loan loan-1", "principal loan-1", 28_858_491),
    ]  # fmt: skip


def test_the_guarantor_of_a_loan_is_paid_back_out_of_the_pledge(tmp_path: Path) -> None:
    """It pays 10 of 62 m a day late; then the debtor pays, and the lot's money goes to lender, guarantor and shop."""
    day = date(2026, 9, 1)
    offer = do.OfferGuarantee(
        "guarantee-2", "surety", "shop", "loan", "loan-1", "CNY", "financing", "joint_several", "proportional", 8_000,
        57_600_000, ["principal"], do.Rate(0, 1), "act/360", "shop", date(2027, 2, 28), date(2026, 3, 6),
    )  # fmt: skip
    steps = []
    for each in without_guarantee():
        if isinstance(each.instructions[0], do.AgreeLoan):
            steps.append(step(each.day, "A guarantee of the loan", ("surety",), offer))
            loan = msgspec.structs.replace(each.instructions[0], guarantees=["guarantee-2"])
            each = dataclasses.replace(each, instructions=(loan, *each.instructions[1:]))
        steps.append(each)
    steps += [
        step(day, "Demanded", ("bank",), do.DemandCompensation("guarantee-2", "loan-1", 10_000_000)),
        step(day, "Paid", ("surety", "bank"),
             do.CompensateLoss("guarantee-2", 10_000_000, "COMP-1", paper("compensation"))),
        step(day, "The debtor pays", ("clearer",),
             do.PayCertificate("cert-1", 116_000_000, "PAY-1", paper("payment"))),
    ]  # fmt: skip
    with played(tmp_path, steps) as ledger:
        found, of_loan = trace(ledger, "claim-1"), trace(ledger, "loan-1")
    assert found.balanced and of_loan.balanced
    assert rows(each for each in of_loan.money if each.order == "guarantee.compensate") == [
        ("party surety", "guarantee guarantee-2", 10_000_000), ("guarantee guarantee-2", "loan loan-1", 10_000_000),
        ("loan loan-1", "principal loan-1", 10_000_000),
    ]  # fmt: skip
    owed = 62_000_000 + 1_341_250 + 11_238 + 243
    assert rows(each for each in of_loan.money if each.order == "certificate.pay") == [
        ("lot cert-1 36000001", "loan loan-1", owed), ("loan loan-1", "compound loan-1", 243),
        ("loan loan-1", "interest loan-1", 1_341_250), ("loan loan-1", "penalty loan-1", 11_238),
        ("loan loan-1", "principal loan-1", 52_000_000), ("loan loan-1", "guarantee guarantee-2", 10_000_000),
        ("guarantee guarantee-2", "party surety", 10_000_000),
    ]  # fmt: skip
    assert ("lot cert-1 36000001", "party shop", 80_000_000 - owed) in rows(found.money)


def test_from_a_loan_only_its_own_lots_are_above(tmp_path: Path) -> None:
    """The trace of the loan shows the pledged lot and its claim, and nothing of the lot that the factor bought."""
    with played(tmp_path, case_a()) as ledger:
        found = trace(ledger, "loan-1")
    assert rows(found.rights) == [
        ("receivable claim-1", "certificate cert-1", 116_000_000),
        ("certificate cert-1", "lot cert-1 36000001", 80_000_000), ("lot cert-1 36000001", "loan loan-1", 80_000_000),
    ]  # fmt: skip
    assert not {"party factor", "party daqi"} & {name for row in rows(found.money) for name in row[:2]}
    assert len(found.uses) == 3 and found.balanced


def test_from_a_payment_only_what_it_was_paid_out_of(tmp_path: Path) -> None:
    with played(tmp_path, case_a()) as ledger:
        found = trace(ledger, "payment-6")
        came_back = trace(ledger, "payment-2")
    assert found.balanced and came_back.balanced
    assert rows(found.money) == [
        ("party bank", "draw loan-1 draw-2", 22_000_000), ("draw loan-1 draw-2", f"account {ACCOUNT}", 22_000_000),
        (f"account {ACCOUNT}", "payment payment-6", 22_000_000),
        ("payment payment-6", f"payee {BOARDS}", 22_000_000),
    ]  # fmt: skip
    assert rows(found.rights)[-1] == ("lot cert-1 36000001", "loan loan-1", 80_000_000)
    assert total(came_back, "payment", "payee") == total(came_back, "payment", "account") == 5_000_000


def test_a_payment_that_nobody_made_has_no_money(tmp_path: Path) -> None:
    asked = list(takewhile(lambda each: not isinstance(each.instructions[0], do.ApprovePayment), case_a()))
    with played(tmp_path, asked) as ledger:
        found = trace(ledger, "payment-1")
    assert (found.money, found.rights, found.balanced) == ((), (), True)


def two_loans() -> list[Step]:
    """Two loans on one account: 20 m of the first, of which 4 m are paid out, and then 4 m of the second.

    18 m that are paid then are 16 m of the first loan and 2 m of the second; 10 m and 7 m of them come back, and 3 m
    are paid once more.
    """
    before = list(takewhile(lambda each: each.day <= date(2026, 3, 6), until_maturity()))
    terms, pledge, *mandates = before.pop().instructions
    assert isinstance(terms, do.AgreeLoan) and isinstance(pledge, do.PledgeLot)
    halves = [
        each
        for loan, lot in (("loan-1", "cert-1 36000001"), ("loan-2", "cert-1 76000001"))
        for each in (
            msgspec.structs.replace(terms, id=loan, limit_minor=36_000_000),
            msgspec.structs.replace(pledge, id=lot, loan=loan, amount_minor=40_000_000),
        )
    ]
    day = date(2026, 3, 9)
    return [
        *before,
        step(date(2026, 3, 6), "Two loans", ("shop", "bank"), *halves, *mandates),
        *(step(day, "Drawn", ("shop", "bank"), *each) for each in (_drawn("loan-1", 20), _paid("A", PAYEE_1, 4),
                                                                   _drawn("loan-2", 4), _paid("B", PAYEE_1, 18))),
        step(day, "Returned", ("bank",), do.ReturnPayment("B", 10_000_000, "RET-B", paper("return"))),
        step(day, "Refunded", ("bank",), do.RefundPayment("B", 7_000_000, "too much", "REF-B", paper("refund"))),
        step(day, "Paid once more", ("shop", "bank"), *_paid("C", PAYEE_2, 3)),
    ]  # fmt: skip


def _drawn(loan: str, millions: int) -> list[Instruction]:
    amount = millions * 1_000_000
    return [do.DrawLoan(loan, "d", amount), do.DisburseLoan(loan, "d", amount, f"OUT-{loan}", paper(loan))]


def _paid(id: str, payee: do.Payee, millions: int) -> list[Instruction]:
    amount, mandate = millions * 1_000_000, "mainboards" if payee is PAYEE_1 else "screens"
    return [
        do.RequestPayment(id, ACCOUNT, mandate, amount, "goods", payee, [do.Paper("invoice", paper(id))]),
        do.ApprovePayment(id), do.InstructPayment(id), do.SettlePayment(id, amount, f"PAY-{id}", paper(id)),
    ]  # fmt: skip


def test_an_account_that_two_loans_fill_is_emptied_in_the_order_in_which_it_was_filled(tmp_path: Path) -> None:
    first, second = "draw loan-1 d", "draw loan-2 d"
    with played(tmp_path, two_loans()) as ledger:
        found, other, one = trace(ledger, "loan-1"), trace(ledger, "loan-2"), trace(ledger, "B")
        assert ledger.get(Account, ACCOUNT).settled_minor == 16_000_000
    origins = [
        (each.target.id, str(each.origin), each.amount_minor) for each in found.money if each.source.kind == "account"
    ]
    assert origins == [
        ("A", first, 4_000_000), ("B", first, 16_000_000), ("B", second, 2_000_000), ("C", second, 2_000_000),
        ("C", first, 1_000_000),
    ]  # fmt: skip
    back = [(str(each.origin), each.amount_minor) for each in found.money if each.source.kind == "payee"]
    assert back == [(first, 10_000_000), (first, 6_000_000), (second, 1_000_000)]
    assert sorted(uses(found)) == [
        (first, f"account {ACCOUNT}", 15_000_000), (first, f"payee {BOARDS}", 4_000_000),
        (first, f"payee {SCREENS}", 1_000_000), (second, f"account {ACCOUNT}", 1_000_000),
        (second, f"payee {BOARDS}", 1_000_000), (second, f"payee {SCREENS}", 2_000_000),
    ]  # fmt: skip
    assert found.balanced and other.balanced and one.balanced
    # Of the account each loan shows all; of what secured them each shows its own, and a payment both.
    assert uses(found) == uses(other)
    secured = [{each.source.id for each in each.rights if each.target.kind == "loan"} for each in (found, other, one)]
    assert secured == [{"cert-1 36000001"}, {"cert-1 76000001"}, {"cert-1 36000001", "cert-1 76000001"}]


def test_what_a_loan_does_not_take_waits_on_its_account_and_is_told_apart(tmp_path: Path) -> None:
    """The debtor pays 58 m early, and the loan cannot be prepaid: 40 m wait, of which 10 m are paid to a payee."""
    lent = [_not_prepaid(each) for each in until_maturity() if each.day <= date(2026, 3, 12)]
    day, lot = date(2026, 3, 16), "lot cert-1 36000001"
    early = do.PayCertificate("cert-1", 58_000_000, "PAY-0001", paper("early"))
    steps = [
        *lent, step(day, "Paid early", ("clearer",), early),
        step(day, "Paid out", ("shop", "bank"), *_paid("D", PAYEE_1, 10)),
    ]  # fmt: skip
    with played(tmp_path, steps) as ledger:
        found, one = trace(ledger, "cert-1"), trace(ledger, "D")
    assert found.balanced and one.balanced
    assert (lot, f"account {ACCOUNT}", 40_000_000) in rows(found.money, day)
    assert [use for use in uses(found) if use[0] == lot] == [
        (lot, f"payee {BOARDS}", 10_000_000), (lot, f"account {ACCOUNT}", 30_000_000),
    ]  # fmt: skip
    assert rows(one.money) == [
        (lot, f"account {ACCOUNT}", 40_000_000), (f"account {ACCOUNT}", "payment D", 10_000_000),
        ("payment D", f"payee {BOARDS}", 10_000_000),
    ]  # fmt: skip
    assert str(found).count("out of lot cert-1 36000001") == 2


def _not_prepaid(each: Step) -> Step:
    own = (
        msgspec.structs.replace(one, prepayment="none") if isinstance(one, do.AgreeLoan) else one
        for one in each.instructions
    )
    return dataclasses.replace(each, instructions=tuple(own))


def test_a_claim_that_is_paid_without_a_certificate(tmp_path: Path) -> None:
    """A part is assigned to the factor, who is paid; the rest goes to the shop, a day late with its interest."""
    claim = [step for step in case_a() if step.day <= date(2026, 3, 4)][:4]
    assign = do.AssignReceivable("part-1", "claim-1", "factor", 16_000_000, digest("notice"))
    submit = claim[2].instructions[0]
    assert isinstance(submit, do.SubmitReceivable)
    late = msgspec.structs.replace(submit, late=do.LateTerms())
    due = date(2026, 8, 31)
    steps = [
        *claim[:2], step(claim[2].day, "The claim", ("shop",), late), claim[3],
        step(claim[3].day, "Assigned", ("shop", "factor"), assign),
        step(due, "The part is paid", ("factor",),
             do.SettleReceivable("claim-1", 16_000_000, "factor", "IN-1", paper("part"), part="part-1")),
        step(date(2026, 9, 1), "The rest is paid", ("shop",),
             do.SettleReceivable("claim-1", 100_000_000, "shop", "IN-2", paper("rest"))),
        step(date(2026, 9, 1), "The interest is paid", ("shop",),
             do.ReceiveLateInterest("claim-1", "shop", 50_000, "IN-3", paper("late"))),
    ]  # fmt: skip
    with played(tmp_path, steps) as ledger:
        found = trace(ledger, "claim-1")
    assert found.balanced
    assert rows(found.rights) == [("receivable claim-1", "part part-1", 16_000_000)]
    assert rows(found.money) == [
        ("party daqi", "receivable claim-1", 16_000_000), ("receivable claim-1", "part part-1", 16_000_000),
        ("part part-1", "party factor", 16_000_000),
        ("party daqi", "receivable claim-1", 100_000_000), ("receivable claim-1", "party shop", 100_000_000),
        ("party daqi", "late_interest claim-1 shop", 50_000), ("late_interest claim-1 shop", "party shop", 50_000),
    ]  # fmt: skip


def on_a_pledged_part() -> list[Step]:
    """80 m of the claim are pledged and secure the loan, whose first draw was stated in error once."""
    claim = list(takewhile(lambda each: each.title != "The guarantee is offered", until_maturity()))
    agreed = next(each for each in until_maturity() if isinstance(each.instructions[0], do.AgreeLoan))
    mandates = [each for each in agreed.instructions if isinstance(each, do.SetMandate)]
    pledge = do.PledgeReceivable(
        "part-1", "claim-1", "bank", 80_000_000, "0306-5551", 0, paper("pledge"), notice=digest("notice")
    )  # fmt: skip
    day, due = date(2026, 3, 9), date(2026, 8, 31)
    first = _drawn("loan-1", 20)
    again = do.DisburseLoan("loan-1", "d", 20_000_000, "OUT-2", paper("again"))
    return [
        *claim,
        step(agreed.day, "Secured", ("shop", "bank"), agreed.instructions[0], pledge,
             do.SecureLoan("loan-1", "part-1"), *mandates),
        step(day, "Drawn", ("shop", "bank"), *first),
        step(day, "That was not so", ("bank",), do.ReverseDisbursement("loan-1", "d", "OUT-loan-1", "wrong day")),
        step(day, "But this is", ("bank",), again),
        step(day, "Paid out", ("shop", "bank"), *_paid("A", PAYEE_1, 15)),
        step(due, "The part is paid", ("bank",),
             do.SettleReceivable("claim-1", 80_000_000, "bank", "IN-1", paper("part"), part="part-1")),
    ]  # fmt: skip


def test_a_pledged_part_of_a_claim_repays_the_loan_that_it_secures(tmp_path: Path) -> None:
    """175 days at 4.35% of 360 days on 20 m are 422,917; what the loan does not take is the shop's."""
    with played(tmp_path, on_a_pledged_part()) as ledger:
        found, of_loan, paid = trace(ledger, "claim-1"), trace(ledger, "loan-1"), trace(ledger, "A")
    assert found.balanced and of_loan.balanced and paid.balanced
    secured = [("receivable claim-1", "part part-1", 80_000_000), ("part part-1", "loan loan-1", 80_000_000)]
    assert rows(found.rights) == rows(of_loan.rights) == rows(paid.rights) == secured
    assert rows(found.money, date(2026, 8, 31)) == [
        ("party daqi", "receivable claim-1", 80_000_000), ("receivable claim-1", "part part-1", 80_000_000),
        ("part part-1", "loan loan-1", 20_422_917), ("part part-1", "party shop", 59_577_083),
        ("loan loan-1", "interest loan-1", 422_917), ("loan loan-1", "principal loan-1", 20_000_000),
    ]  # fmt: skip


def test_a_draw_that_was_stated_in_error_takes_its_money_back(tmp_path: Path) -> None:
    draw = "draw loan-1 d"
    with played(tmp_path, on_a_pledged_part()) as ledger:
        found = trace(ledger, "loan-1")
    assert rows(each for each in found.money if each.order == "loan.reverse_disbursement") == [
        (f"account {ACCOUNT}", draw, 20_000_000), (draw, "party bank", 20_000_000),
    ]  # fmt: skip
    assert uses(found) == [
        (draw, draw, 20_000_000), (draw, f"payee {BOARDS}", 15_000_000), (draw, f"account {ACCOUNT}", 5_000_000),
    ]  # fmt: skip


def test_claims_of_a_refused_certificate_come_back(tmp_path: Path) -> None:
    offered = takewhile(lambda each: each.title != "The certificate is accepted", case_a())
    refuse = step(date(2026, 3, 4), "Refused", ("shop",), do.RefuseCertificate("cert-1"))
    with played(tmp_path, [*offered, refuse]) as ledger:
        found = trace(ledger, "claim-1")
    assert found.balanced
    assert rows(found.rights) == [
        ("receivable claim-1", "certificate cert-1", 116_000_000),
        ("certificate cert-1", "receivable claim-1", 116_000_000),
    ]


@pytest.mark.parametrize(
    ("kind", "member", "number"),
    [
        (Receivable, "settled", "I-2"), (Certificate, "settled_minor", "I-4"), (Lot, "first", "I-4"),
        (Account, "inflow_minor", "I-14"), (Payment, "settled_minor", "I-14"), (Guarantee, "compensated_minor", "I-8"),
    ],
)  # fmt: skip
def test_a_unit_too_much_is_seen(tmp_path: Path, kind: type[Record], member: str, number: str) -> None:
    """The last change of a record that no rule made, with one unit more, breaks a sum."""
    with played(tmp_path, case_a()) as ledger:
        changes = list(ledger.changes())
        scope = scope_of(ledger, ledger.get(Receivable, "claim-1"))
        account = ledger.get(Loan, "loan-1").account
    assert trace_of(scope, changes, lambda _: account).balanced
    at = max(at for at, change in enumerate(changes) if any(change.of(kind)))
    changes[at] = _more(changes[at], kind, member)
    broken = [check for check in trace_of(scope, changes, lambda _: account).checks if not check.balanced]
    assert number in {check.number for check in broken}


def _more(change: Change, kind: type[Record], member: str) -> Change:
    records = tuple(
        (before, msgspec.structs.replace(after, **{member: getattr(after, member) + 1}))
        if isinstance(after, kind)
        else (before, after)
        for before, after in change.records
    )
    return msgspec.structs.replace(change, records=records)


def test_one_id_of_two_kinds(tmp_path: Path) -> None:
    """A certificate that is called as its claim is must be asked for by its kind."""
    offered = list(takewhile(lambda each: each.title != "The guarantee is offered", case_a()))
    issue = next(each for each in case_a() if each.title == "The certificate is issued").instructions[0]
    assert isinstance(issue, do.IssueCertificate)
    same = msgspec.structs.replace(issue, id="claim-1", guarantees=Absent)
    with played(tmp_path, [*offered, step(date(2026, 3, 4), "Issued", ("daqi",), same)]) as ledger:
        with pytest.raises(fc.ConfigError, match="receivable and certificate"):
            trace(ledger, "claim-1")
        assert trace(ledger, "claim-1", Receivable).start.kind == "receivable"
        with pytest.raises(fc.NotFound, match="loan"):
            trace(ledger, "claim-1", Loan)
        with pytest.raises(fc.NotFound, match="receivable, certificate, loan, payment"):
            trace(ledger, "claim-2")
        path = str(ledger.path)
    options = ["--keys", str(tmp_path / "keys"), "--json"]
    assert cli.run(["trace", path, "claim-1", *options]) == FAILED
    assert cli.run(["trace", path, "claim-1", "--kind", "certificate", *options]) == 0


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with played(tmp_path, case_b()) as ledger:
        path = str(ledger.path)
    options = ["--keys", str(tmp_path / "keys")]
    assert cli.run(["trace", path, "loan-1", *options]) == 0
    told = capsys.readouterr().out
    assert f"450,000.00  draw loan-1 draw-1 → payee {BOARDS}" in told
    assert "≠" not in told and "I-14 what came onto account ctl-7q4x went from it or is there" in told
    assert cli.run(["trace", path, "loan-1", "--json", *options]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["part"] for line in lines] == sorted((line["part"] for line in lines), key=PARTS.index)
    assert sum(line["amount_minor"] for line in lines if line["part"] == "uses") == 72_000_000
    assert all(line["balanced"] for line in lines if line["part"] == "checks")
    assert {line["currency"] for line in lines} == {"CNY"}


PARTS = ["rights", "money", "uses", "checks"]


def test_the_command_ends_with_12_where_a_sum_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with played(tmp_path, case_a()) as ledger:
        path = str(ledger.path)
        found = trace(ledger, "loan-1")
    check = msgspec.structs.replace(found.checks[0], right=())
    wrong = msgspec.structs.replace(found, checks=(check,))
    monkeypatch.setattr("finchain.cli.reports.trace_of", lambda *_: wrong)
    assert cli.run(["trace", path, "loan-1", "--keys", str(tmp_path / "keys")]) == TAMPERED
    assert "≠" in str(wrong)
