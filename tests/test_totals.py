"""The conservation statement: it balances after every step, it is the same from state and replay, and it can fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

import finchain as fc
from finchain import cli
from finchain.cli.exit_codes import FAILED
from finchain.demo_deal import MATURITY, NET_CASH, START, Step
from finchain.domain.account import Account
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Loan
from finchain.domain.rule import Record
from finchain.domain.totals import totals_of
from played_deal import bent, case_a, case_b, founded, played, recovered, steps_taken
from stories import GUARANTEE, apply, but, confirmed

Deal = Callable[[], list[Step]]


@pytest.mark.parametrize("deal", [case_a, recovered, bent])
def test_it_balances_after_every_step(tmp_path: Path, deal: Deal) -> None:
    with founded(tmp_path) as ledger:
        assert ledger.totals().currencies == (), "nothing is claimed yet"
        for step in steps_taken(ledger, deal()):
            totals = ledger.totals()
            assert totals.balanced, f"{step.title}\n{totals}"
        table = ledger.totals().of("CNY")
        assert table.left_minor == table.right_minor > 0


@pytest.mark.parametrize("deal", [case_a, bent])
def test_state_and_replay_say_the_same(tmp_path: Path, deal: Deal) -> None:
    """The statement of each day's end, made when the day was today, is what a replay makes of it in the end."""
    made = {}
    with founded(tmp_path) as ledger:
        for step in steps_taken(ledger, deal()):
            made[step.day] = ledger.totals()
        for day, totals in made.items():
            assert ledger.totals(as_of=day) == totals, day
        quiet = MATURITY - timedelta(days=1)
        before = max(day for day in made if day <= quiet)
        assert ledger.totals(as_of=quiet).height == made[before].height, "a day without blocks"


def test_only_days_of_the_ledger_have_totals(tmp_path: Path) -> None:
    with founded(tmp_path) as ledger:
        assert ledger.totals(as_of=START).height == ledger.height
        for day in (START - timedelta(days=1), START + timedelta(days=1)):
            with pytest.raises(fc.NotFound, match=str(day)):
                ledger.totals(as_of=day)


def test_the_sums_of_the_day_before_payment(tmp_path: Path) -> None:
    with played(tmp_path, case_a()) as ledger:
        before, after = ledger.totals(as_of=date(2026, 8, 30)).of("CNY"), ledger.totals().of("CNY")
        cash = {row.name: row.amount_minor for row in after.rows if row.section == "cash"}
    shown = {f"{row.section} {row.name}": row.amount_minor for row in before.rows}
    assert shown["claims claimed"] == 120_000_000
    assert shown["claims converted"] == shown["certificates live"] == shown["debtors daqi"] == 116_000_000
    assert (shown["lots none none"], shown["lots none pledged"]) == (36_000_000, 80_000_000)
    assert (shown["creditors factor"], shown["creditors shop"]) == (36_000_000, 80_000_000)
    assert (shown["loans outstanding"], shown["loans repaid"]) == (62_000_000, 10_000_000)
    assert shown["guarantees exposure"] == 92_800_000
    assert (shown["accounts inflow"], shown["payments settled"]) == (72_000_000, 77_000_000)
    assert cash == dict(NET_CASH)
    assert after.amount_minor("certificates", "settled") == after.amount_minor("claims", "conv_settled") == 116_000_000
    assert after.amount_minor("guarantees", "exposure") == after.amount_minor("debtors", "daqi") == 0


def test_a_default_in_one_table(tmp_path: Path) -> None:
    """Case B: the guarantor owns 52.8 m of the 66 m that are not paid, and answers for no more."""
    with played(tmp_path, case_b()) as ledger:
        table = ledger.totals().of("CNY")
    assert table.amount_minor("debtors", "daqi") == 66_000_000
    assert table.amount_minor("lots", "junior none") == table.amount_minor("creditors", "surety") == 52_800_000
    assert table.amount_minor("lots", "senior none") == 13_200_000
    assert (table.amount_minor("creditors", "factor"), table.amount_minor("creditors", "shop")) == (
        4_096_552, 9_103_448,
    )  # fmt: skip
    assert table.amount_minor("guarantees", "exposure") == 0
    text = str(table)
    assert "balanced" in text and "NOT" not in text and "660,000.00" in text


@pytest.mark.parametrize(
    ("kind", "member", "number"),
    [
        (Cash, "net_minor", "I-0"), (Certificate, "live_minor", "I-4"), (Lot, "last", "I-5"),
        (Guarantee, "compensated_minor", "I-8"), (Loan, "repaid_minor", "I-10"), (Account, "outflow_minor", "I-14"),
        (Account, "reserved_minor", "I-15"),
    ],
)  # fmt: skip
def test_a_unit_too_much_is_seen(tmp_path: Path, kind: type[Record], member: str, number: str) -> None:
    """A record that no rule wrote, with one unit more, and the line that it breaks; the other currency still holds."""
    with played(tmp_path, case_b()) as ledger:
        records = list(ledger.find_all())
        today = ledger.today
    index = next(index for index, record in enumerate(records) if type(record) is kind)
    changed = {member: getattr(records[index], member) + 1}
    records[index] = msgspec.structs.replace(records[index], **changed)
    totals = totals_of([*records, Cash(id="shop USD", net_minor=5), Cash(id="bank USD", net_minor=-5)], today=today,
                       height=1)  # fmt: skip
    assert number in {check.number for check in totals.of("CNY").checks if not check.balanced}
    assert not totals.balanced and totals.of("USD").balanced
    assert "NOT BALANCED" in str(totals.of("CNY")) and "≠" in str(totals.of("CNY"))


def test_an_offer_may_stand_behind_a_guarantee_that_is_not_there() -> None:
    ledger = confirmed()
    offer = but(GUARANTEE, id="K", behind="G", period_end=date(2027, 8, 31))
    apply(ledger, offer, by=["guarantor"])
    totals = totals_of(ledger.records.values(), today=ledger.today, height=1)
    assert totals.balanced and totals.of("CNY").amount_minor("guarantees", "exposure") == 0


def test_the_command_shows_a_day_and_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with played(tmp_path, case_a()) as ledger:
        path = str(ledger.path)
    options = [path, "--keys", str(tmp_path / "keys")]
    assert cli.run(["totals", *options, "--as-of", "2026-08-30", "--json"]) == 0
    (row,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (row["as_of"], row["currency"], row["balanced"]) == ("2026-08-30", "CNY", True)
    live = {"section": "certificates", "name": "live", "amount_minor": 116_000_000}
    assert live in row["rows"]
    assert cli.run(["totals", *options]) == 0
    assert capsys.readouterr().out.startswith("CNY  balanced\n  claims claimed")
    assert cli.run(["totals", *options, "--as-of", "2026-03-01"]) == FAILED
