"""The journal: Cases A, B and C to the fen, books that agree after every instruction, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

import finchain as fc
from finchain import cli
from finchain import instructions as do
from finchain.cli.exit_codes import FAILED, TAMPERED
from finchain.demo_deal import ACCOUNT, MATURITY, NET_CASH, Step, paper
from finchain.domain.cash import Cash
from finchain.domain.rule import Record
from finchain.outcome import Change
from finchain.report import Posting, postings
from finchain.report.postings import postings_of
from journal import Books, Row, kept, rows
from played_deal import RECOVERY_DAY, bent, case_a, case_b, case_c, played, recovered

Deal = Callable[[], list[Step]]

BOARDS = f"{ACCOUNT}/mainboards"


def of_day(ledger: fc.Ledger, day: date, order: str) -> dict[str, list[Row]]:
    """What each party books of the instructions of a kind and a day."""
    found: dict[str, list[Row]] = {}
    for posting in postings(ledger, since=day, until=day):
        if posting.order == order:
            found.setdefault(posting.book, []).extend(rows(posting))
    return found


def test_case_a_from_the_claim_to_the_certificate(tmp_path: Path) -> None:
    """2.11 rows: claim confirmed, certificate issued, guarantee fee, transfer to tier 2."""
    day = date(2026, 3, 4)
    with played(tmp_path, case_a()) as ledger:
        confirmed = of_day(ledger, day, "receivable.confirm")
        accepted = of_day(ledger, day, "certificate.accept")
        fee = of_day(ledger, day, "guarantee.receive_fee")
        passed = of_day(ledger, day, "certificate.accept_transfer")
    assert confirmed == {
        "shop": [("Dr R", "daqi", 116_000_000, "claim-1"), ("Cr revenue", "daqi", 116_000_000, "claim-1")],
        "daqi": [("Dr cost", "shop", 116_000_000, "claim-1"), ("Cr P", "shop", 116_000_000, "claim-1")],
    }
    assert accepted == {
        "shop": [("Dr R.cert", "daqi", 116_000_000, "cert-1"), ("Cr R", "daqi", 116_000_000, "claim-1")],
        "daqi": [("Dr P", "shop", 116_000_000, "claim-1"), ("Cr P.cert", "shop", 116_000_000, "cert-1")],
        "surety": [("Dr CG", "daqi", 92_800_000, "guarantee-1")],
    }
    assert fee == {
        "daqi": [("Dr FE", "surety", 464_000, "guarantee-1"), ("Cr CASH", "surety", 464_000, "")],
        "surety": [("Dr CASH", "daqi", 464_000, ""), ("Cr FI.unearned", "daqi", 464_000, "guarantee-1")],
    }
    assert passed == {
        "shop": [("Dr P", "maker", 36_000_000, "cert-1 1"), ("Cr R.cert", "daqi", 36_000_000, "cert-1")],
        "maker": [("Dr R.cert", "daqi", 36_000_000, "cert-1"), ("Cr R", "shop", 36_000_000, "cert-1 1")],
        "daqi": [("Dr P.cert", "shop", 36_000_000, "cert-1"), ("Cr P.cert", "maker", 36_000_000, "cert-1")],
    }


def test_case_a_the_sale_and_the_loan(tmp_path: Path) -> None:
    """2.11 rows: non-recourse sale (discount 796,800), loan draw; and what is paid from the controlled account."""
    with played(tmp_path, case_a()) as ledger:
        sold = of_day(ledger, date(2026, 3, 18), "certificate.settle_sale")
        drawn = of_day(ledger, date(2026, 4, 8), "loan.disburse")
        paid = of_day(ledger, date(2026, 4, 8), "payment.settle")
        returned = of_day(ledger, date(2026, 3, 10), "payment.return")
        prepaid = of_day(ledger, date(2026, 6, 8), "loan.receive_prepayment")
    assert sold == {
        "maker": [
            ("Dr CASH", "factor", 35_203_200, ""), ("Dr FE", "factor", 796_800, "cert-1"),
            ("Cr R.cert", "daqi", 36_000_000, "cert-1"),
        ],
        "factor": [
            ("Dr R.cert", "daqi", 36_000_000, "cert-1"), ("Cr CASH", "maker", 35_203_200, ""),
            ("Cr FI.unearned", "maker", 796_800, "cert-1"),
        ],
        "daqi": [("Dr P.cert", "maker", 36_000_000, "cert-1"), ("Cr P.cert", "factor", 36_000_000, "cert-1")],
    }  # fmt: skip
    assert drawn == {
        "shop": [("Dr CASH.ctl", "bank", 22_000_000, ACCOUNT), ("Cr LL", "bank", 22_000_000, "loan-1")],
        "bank": [("Dr LN", "shop", 22_000_000, "loan-1"), ("Cr CASH", "shop", 22_000_000, "")],
    }
    assert paid == {
        "shop": [("Dr cost", BOARDS, 22_000_000, "payment-6"), ("Cr CASH.ctl", BOARDS, 22_000_000, ACCOUNT)],
        BOARDS: [("Dr CASH", "shop", 22_000_000, ""), ("Cr revenue", "shop", 22_000_000, "payment-6")],
    }
    screens = f"{ACCOUNT}/screens"
    assert returned == {
        "shop": [("Dr CASH.ctl", screens, 5_000_000, ACCOUNT), ("Cr cost", screens, 5_000_000, "payment-2")],
        screens: [("Dr revenue", "shop", 5_000_000, "payment-2"), ("Cr CASH", "shop", 5_000_000, "")],
    }
    assert prepaid == {
        "shop": [("Dr LL", "bank", 10_000_000, "loan-1"), ("Cr CASH", "bank", 10_000_000, "")],
        "bank": [("Dr CASH", "shop", 10_000_000, ""), ("Cr LN", "shop", 10_000_000, "loan-1")],
    }


def test_case_a_one_payment_ends_it(tmp_path: Path) -> None:
    """2.11 rows: maturity paid, interest posted (1,341,250)."""
    with played(tmp_path, case_a()) as ledger:
        paid = of_day(ledger, MATURITY, "certificate.pay")
    assert paid == {
        "daqi": [
            ("Dr P.cert", "factor", 36_000_000, "cert-1"), ("Dr P.cert", "shop", 80_000_000, "cert-1"),
            ("Cr CASH", "factor", 36_000_000, ""), ("Cr CASH", "bank", 63_341_250, ""),
            ("Cr CASH", "shop", 16_658_750, ""),
        ],
        "factor": [("Dr CASH", "daqi", 36_000_000, ""), ("Cr R.cert", "daqi", 36_000_000, "cert-1")],
        "shop": [
            ("Dr LL", "bank", 62_000_000, "loan-1"), ("Dr FE", "bank", 1_341_250, "loan-1"),
            ("Dr CASH", "daqi", 16_658_750, ""), ("Cr R.cert", "daqi", 80_000_000, "cert-1"),
        ],
        "bank": [
            ("Dr CASH", "daqi", 63_341_250, ""), ("Cr LN", "shop", 62_000_000, "loan-1"),
            ("Cr FI", "shop", 1_341_250, "loan-1"),
        ],
        "surety": [("Cr CG", "daqi", 92_800_000, "guarantee-1")],
    }  # fmt: skip


def test_case_a_in_everybodys_books(tmp_path: Path) -> None:
    """In the end nobody owes anything, and each has earned or spent what the worked example says."""
    with played(tmp_path, case_a()) as ledger:
        books = kept(ledger)
    for party, net in NET_CASH.items():
        assert books.total("CASH", "CASH.ctl", book=party) == net, party
    for account in ("R.cert", "P.cert", "LN", "LN.int", "LL", "LL.int", "SUB", "CG", "OFF", "CASH.ctl"):
        assert books.total(account) == 0, account
    assert books.total("R", instrument="claim-1") == books.total("P", instrument="claim-1") == 0
    # What the shop paid its supplier with is booked as paid, although what it bought is not on this ledger.
    assert books.total("R", book="maker") == -36_000_000 == -books.total("P", book="shop")
    assert books.total("FI.unearned", book="factor") == -796_800 == -books.total("FE", book="maker")
    assert books.total("FI", book="bank") == -1_341_250 == -books.total("FE", book="shop")
    assert books.total("cost", book="shop") == 67_000_000 + 5_000_000


def test_case_b_the_guarantor_pays_and_recovers(tmp_path: Path) -> None:
    """2.11 rows: compensation z = 52.8 m, recovery w = 6.8 m."""
    with played(tmp_path, recovered()) as ledger:
        paid = of_day(ledger, MATURITY, "guarantee.compensate")
        back = of_day(ledger, RECOVERY_DAY, "certificate.pay")
        books = kept(ledger)
    assert paid == {
        "surety": [
            ("Dr SUB", "daqi", 52_800_000, "cert-1"), ("Cr CASH", "factor", 16_386_207, ""),
            ("Cr CASH", "bank", 28_858_491, ""), ("Cr CASH", "shop", 7_555_302, ""),
            ("Cr CG", "daqi", 52_800_000, "guarantee-1"),
        ],
        "factor": [("Dr CASH", "surety", 16_386_207, ""), ("Cr R.cert", "daqi", 16_386_207, "cert-1")],
        "shop": [
            ("Dr LL", "bank", 28_858_491, "loan-1"), ("Dr CASH", "surety", 7_555_302, ""),
            ("Cr R.cert", "daqi", 36_413_793, "cert-1"),
        ],
        "bank": [("Dr CASH", "surety", 28_858_491, ""), ("Cr LN", "shop", 28_858_491, "loan-1")],
        "daqi": [
            ("Dr P.cert", "factor", 16_386_207, "cert-1"), ("Dr P.cert", "shop", 36_413_793, "cert-1"),
            ("Cr P.cert", "surety", 52_800_000, "cert-1"),
        ],
    }  # fmt: skip
    assert back["surety"] == [("Dr CASH", "daqi", 6_800_000, ""), ("Cr SUB", "daqi", 6_800_000, "cert-1")]
    assert back["factor"] == [("Dr CASH", "daqi", 4_096_552, ""), ("Cr R.cert", "daqi", 4_096_552, "cert-1")]
    assert books.total("SUB", book="surety") == 46_000_000 == -books.total("P.cert", book="daqi")


def test_case_c_the_borrower_repays_with_a_penalty(tmp_path: Path) -> None:
    with played(tmp_path, case_c()) as ledger:
        repaid = of_day(ledger, date(2026, 9, 20), "loan.receive")
        books = kept(ledger)
    assert repaid == {
        "shop": [
            ("Dr LL", "bank", 28_858_491, "loan-1"), ("Dr FE", "bank", 104_612, "loan-1"),
            ("Cr CASH", "bank", 28_963_103, ""),
        ],
        "bank": [
            ("Dr CASH", "shop", 28_963_103, ""), ("Cr LN", "shop", 28_858_491, "loan-1"),
            ("Cr FI", "shop", 104_612, "loan-1"),
        ],
    }  # fmt: skip
    assert books.total("FI", book="bank") == -1_445_862
    assert books.total("LN") == books.total("LL") == 0


@pytest.mark.parametrize("deal", [case_a, recovered, case_c, bent])
def test_the_books_agree_after_every_instruction(tmp_path: Path, deal: Deal) -> None:
    """R is P and LN is LL for each pair and instrument, all along; in the end records and cash agree as well."""
    with played(tmp_path, deal()) as ledger:
        books = kept(ledger)
        owed = ledger.totals().of("CNY")
    debtors = sum(row.amount_minor for row in owed.rows if row.section == "debtors")
    claimed = -books.total("P.cert") - sum(
        amount for (_, account, _, id, _), amount in books.amounts.items() if account == "P" and id == "claim-1"
    )
    assert claimed == debtors


def test_what_moves_no_value_is_not_in_the_journal(tmp_path: Path) -> None:
    """Contract, pledge, mandate, notices, offers, requests and refusals."""
    with played(tmp_path, case_b()) as ledger:
        booked = {posting.order for posting in postings(ledger)}
        ordered = {change.order for change in ledger.changes()}
    assert booked == {
        "receivable.confirm", "certificate.accept", "certificate.accept_transfer", "certificate.settle_sale",
        "certificate.pay", "guarantee.receive_fee", "guarantee.compensate", "loan.disburse",
        "loan.receive_prepayment", "payment.settle", "payment.return",
    }  # fmt: skip
    assert {"contract.sign", "certificate.pledge", "mandate.set", "loan.draw", "certificate.dishonour"} <= ordered


def test_a_party_and_some_days(tmp_path: Path) -> None:
    """The days are those of the blocks, the first and the last included, so that runs neither overlap nor leave out."""
    april, june = date(2026, 4, 8), date(2026, 6, 8)
    with played(tmp_path, case_a()) as ledger:
        whole = list(postings(ledger))
        assert list(postings(ledger, "bank")) == [each for each in whole if each.book == "bank"]
        assert {each.day for each in postings(ledger, since=april, until=june)} == {april, june}
        split = [
            *postings(ledger, until=april), *postings(ledger, since=april + timedelta(1), until=june),
            *postings(ledger, since=june + timedelta(1)),
        ]  # fmt: skip
        assert split == whole
        with pytest.raises(fc.NotFound, match="nobody"):
            list(postings(ledger, "nobody"))


def test_what_a_bank_posts_back_has_its_value_date(tmp_path: Path) -> None:
    """Booked in the block of 1 September, valued on the day on which the money came, and with the bank's number."""
    day = MATURITY + timedelta(1)
    pay = do.PayCertificate("cert-1", 116_000_000, "PAY-0001", paper("payment"), value_date=MATURITY)
    steps = [*case_a()[:-1], Step(day, "The payment", ("clearer",), (pay,))]
    with played(tmp_path, steps) as ledger:
        found = list(postings(ledger, "factor", since=day))
    (posting,) = found
    assert (posting.day, posting.value_date, posting.reference) == (day, MATURITY, "PAY-0001")
    assert str(posting).splitlines() == [
        f"2026-08-31  factor  certificate.pay PAY-0001, block {posting.height}, entry 0",
        "    Dr CASH                    360,000.00 CNY  daqi",
        "    Cr R.cert                  360,000.00 CNY  daqi  cert-1",
    ]


def changed(changes: Iterable[Change], kind: type[Record]) -> list[Change]:
    """The changes as if no record of a kind had been written."""
    return [
        msgspec.structs.replace(
            each, records=tuple(pair for pair in each.records if not isinstance(pair[1], kind))
        ) for each in changes
    ]  # fmt: skip


def test_money_without_a_right_is_seen(tmp_path: Path) -> None:
    """Cash that no rule moved: the postings do not balance, and say so."""
    with played(tmp_path, case_a()) as ledger:
        journal = list(postings_of(changed(ledger.changes(), Cash), ledger.get))
    unbalanced = [each for each in journal if not each.balanced]
    assert {each.order for each in unbalanced} == {
        "guarantee.receive_fee",
        "loan.disburse",
        "payment.settle",
        "payment.return",
        "certificate.settle_sale",
        "loan.receive_prepayment",
        "certificate.pay",
    }  # fmt: skip
    assert "NOT BALANCED" in str(unbalanced[0])
    with pytest.raises(AssertionError, match="NOT BALANCED"):
        Books().keep(journal)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with played(tmp_path, case_a()) as ledger:
        path = str(ledger.path)
    options = [path, "--keys", str(tmp_path / "keys")]
    days = ["--from", "2026-08-31", "--to", "2026-08-31"]
    assert cli.run(["postings", *options, "--party", "bank", *days, "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["side"], each["account"], each["amount_minor"]) for each in told] == [
        ("debit", "CASH", 63_341_250), ("credit", "LN", 62_000_000), ("credit", "FI", 1_341_250),
    ]  # fmt: skip
    shown = {
        "entry": 0, "index": 0, "day": "2026-08-31", "value_date": "2026-08-31", "order": "certificate.pay",
        "book": "bank", "currency": "CNY", "reference": "PAY-0001", "account": "LN", "side": "credit",
        "amount_minor": 62_000_000, "counterparty": "shop", "instrument": "loan-1",
    }  # fmt: skip
    assert told[1].items() >= shown.items() and told[1]["height"] > 0
    assert cli.run(["postings", *options, "--party", "surety"]) == 0
    assert capsys.readouterr().out.startswith("2026-03-04  surety  certificate.accept, block ")
    assert cli.run(["postings", *options, "--party", "nobody"]) == FAILED
    monkeypatch.setattr(Posting, "balanced", False)
    assert cli.run(["postings", *options]) == TAMPERED
