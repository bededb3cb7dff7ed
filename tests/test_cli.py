"""The command as a shell sees it: what is on stdout, what on stderr, and with which code it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import finchain as fc
from finchain import cli
from finchain.cli.screen import Screen
from kept_ledger import frames_in

Run = Callable[..., "Ended"]

CLAIM = {
    "type": "receivable.submit", "id": "R-1", "creditor": "shop", "debtor": "buyer", "amount_minor": 120_000_000,
    "currency": "CNY", "due": "2026-08-31", "invoice": "INV-77",
}  # fmt: skip


class Ended:
    """How a run of the command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process."""

    def running(*arguments: object) -> Ended:
        code = cli.run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return running


@pytest.fixture
def deal(tmp_path: Path, key_folder: Path, run: Run) -> Path:
    """A folder with a ledger, two enrolled parties and their key files."""
    ledger = tmp_path / "deal.finchain"
    assert run("init", ledger, "--name", "example.org/deal", "--simulated-from", "2026-03-02").code == 0
    for party, name, role in (("shop", "Corner Computers", "supplier"), ("buyer", "文化软件有限公司", "debtor")):
        assert run("key", "new", tmp_path / f"{party}.pem", "--quiet").code == 0
        registered = run("register", ledger, party, name, "--role", role, "--key", tmp_path / f"{party}.pem")
        assert registered.code == 0, registered.err
    write(tmp_path / "claim.json", CLAIM)
    return tmp_path


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def submit(run: Run, deal: Path, content: Any, party: str, *more: object) -> Ended:
    what = write(deal / "what.json", content)
    return run("submit", deal / "deal.finchain", what, "--key", deal / f"{party}.pem", *more)


def test_a_claim_from_the_shell_to_a_verified_receipt(deal: Path, run: Run) -> None:
    ledger, receipt = deal / "deal.finchain", deal / "R-1.receipt"
    assert submit(run, deal, CLAIM, "shop").out.startswith("applied: ")
    assert (
        submit(run, deal, {"type": "receivable.confirm", "id": "R-1", "amount_minor": 116_000_000}, "buyer").code == 0
    )
    shown = run("show", ledger, "receivable", "R-1", "--json").rows[0]
    assert (shown["kind"], shown["confirmed"], shown["pending"]) == ("receivable", 116_000_000, 4_000_000)
    steps = run("history", ledger, "receivable", "R-1", "--json").rows
    assert [step["by"] for step in steps] == [["shop"], ["buyer"]]
    proven = run("prove", ledger, "receivable", "R-1", "--out", receipt, "--json").rows[0]
    verified = run("verify", receipt, "--trust", proven["verifier_key"], "--unwitnessed", "--json")
    assert verified.code == 0 and verified.rows[0]["record"]["confirmed"] == 116_000_000
    assert "5 instructions verified" in run("check", ledger).out
    for words in ((), ("--as-of", "2026-03-02")):
        (table,) = run("totals", ledger, *words, "--json").rows
        assert {row["name"]: row["amount_minor"] for row in table["rows"]}["confirmed"] == 116_000_000
    assert "CNY  balanced" in run("totals", ledger).out
    assert run("totals", ledger, "--as-of", "2026-03-01").code == 16
    summary = run("show", ledger, "--json").rows[0]
    assert summary["records"]["receivable"] == 1 and summary["blocks"] == 5 and summary["today"] == "2026-03-02"


def test_a_ledger_whose_checkpoint_key_is_rotated_to_the_other_suite(tmp_path: Path, run: Run) -> None:
    ledger, keys, new = tmp_path / "it.finchain", tmp_path / "keys", tmp_path / "new.pem"
    receipt, origin = tmp_path / "it.receipt", "example.org/it"
    words = ("--name", origin, "--simulated-from", "2026-03-02", "--keys", keys)
    first = run("init", ledger, *words, "--checkpoint-suite", "ml-dsa-44", "--json").rows[0]["verifier_key"]
    assert run("key", "new", new).code == 0
    second = run("key", "show", new, "--origin", origin, "--json").rows[0]["verifier_key"]
    assert run("key", "show", new, "--origin", origin).out.strip() == second

    def stated_under(trust: str) -> list[str]:
        assert run("prove", ledger, "ledger", "ledger", "--out", receipt, "--keys", keys).code == 0
        record = run("verify", receipt, "--trust", trust, "--unwitnessed", "--json").rows[0]["record"]
        stated: list[str] = record["checkpoint_keys"]
        return stated

    assert stated_under(first) == [first]
    (folder,) = keys.iterdir()
    rotate = write(tmp_path / "rotate.json", {"type": "ledger.checkpoint_keys", "checkpoint_keys": [second]})
    assert run("submit", ledger, rotate, "--key", folder / "operator.pem", "--keys", keys).code == 0
    new.replace(folder / "checkpoint.pem")
    assert stated_under(second) == [second]
    assert run("check", ledger).code == 0
    assert run("key", "new", tmp_path / "p.pem", "--suite", "p256").code == 0
    wrong = run("key", "show", tmp_path / "p.pem", "--origin", origin)
    assert wrong.code == 16 and "suite p256 signs no notes" in wrong.err


def test_a_step_and_an_absence_are_proven(deal: Path, run: Run) -> None:
    ledger, receipt = deal / "deal.finchain", deal / "it.receipt"
    submit(run, deal, CLAIM, "shop")
    trust = run("prove", ledger, "receivable", "R-1", "--step", "0", "--signers", "--out", receipt, "--json")
    key = trust.rows[0]["verifier_key"]
    told = run("verify", receipt, "--trust", key, "--unwitnessed", "--json").rows[0]
    assert (told["what"], told["signers"], told["outcome"]) == ("instruction", ["shop/1"], "applied")
    submit(run, deal, {"type": "receivable.confirm", "id": "R-1", "amount_minor": 1}, "buyer")
    assert run("prove", ledger, "receivable", "R-1", "--step", "0", "--change", "--out", receipt).code == 0
    told = run("verify", receipt, "--trust", key, "--unwitnessed", "--json").rows[0]
    assert (told["what"], told["record"]["confirmed"]) == ("change", 0), "what it was, not what it is"
    assert run("prove", ledger, "receivable", "R-1", "--change", "--out", receipt).code == 16
    assert run("prove", ledger, "receivable", "R-2", "--absent", "--out", receipt).code == 0
    assert run("verify", receipt, "--trust", key, "--unwitnessed", "--json").rows[0]["what"] == "absence"
    assert run("prove", ledger, "receivable", "R-1", "--step", "7", "--out", receipt).code == 16
    assert run("prove", ledger, "receivable", "R-2", "--out", receipt).code == 16


def test_a_refusal_ends_with_8_and_explains_itself(deal: Path, run: Run) -> None:
    submit(run, deal, CLAIM, "shop")
    too_much = {"type": "receivable.confirm", "id": "R-1", "amount_minor": 120_000_001}
    refused = submit(run, deal, too_much, "buyer", "--json")
    assert (refused.code, refused.out) == (8, "")
    assert json.loads(refused.err)["code"] == "receivable.over_confirm"
    explained = run("explain", deal / "deal.finchain", write(deal / "x.json", too_much), "--by", "buyer")
    assert explained.code == 8 and "receivable.over_confirm" in explained.err
    assert "\n  see  finchain explain 'Civil Code 763, I-1'\n" in explained.err
    assert run("explain", "Civil Code 763, I-1").out.startswith("Civil Code 763: ")
    would = run(
        "explain", deal / "deal.finchain", write(deal / "x.json", too_much | {"amount_minor": 1}), "--by", "buyer"
    )
    assert would.code == 0 and would.out.startswith("would be applied")


def test_each_ends_with_4_where_some_hold_and_8_where_none_does(deal: Path, run: Run) -> None:
    mixed = submit(run, deal, [CLAIM, CLAIM, CLAIM | {"id": "R-2", "invoice": "INV-78"}], "shop", "--each", "--json")
    assert mixed.code == 4
    assert [row["status"] for row in mixed.rows] == ["applied", "refused", "applied"]
    assert submit(run, deal, [CLAIM], "shop", "--each").code == 8
    assert submit(run, deal, [CLAIM | {"id": "R-3", "invoice": "INV-79"}], "shop", "--each").code == 0


def test_several_sign_one_after_the_other(deal: Path, run: Run) -> None:
    ledger, unsent = deal / "deal.finchain", deal / "contract.tx"
    contract = {
        "type": "contract.sign", "id": "C-1", "seller": "shop", "buyer": "buyer", "digest": "ab" * 32,
        "value_minor": 120_000_000, "currency": "CNY", "signed": "2026-03-02",
    }  # fmt: skip
    prepared = run(
        "prepare", ledger, write(deal / "c.json", contract), "--by", "shop", "--by", "buyer", "--out", unsent, "--json"
    )
    assert prepared.rows[0]["by"] == ["shop", "buyer"]
    assert run("submit", ledger, unsent).code == 8, "nobody has signed yet"
    for party in ("shop", "buyer"):
        signed = run("sign", unsent, "--key", deal / f"{party}.pem", "--yes")
        assert signed.code == 0 and "value=1,200,000.00 CNY" in signed.err
    assert run("submit", ledger, unsent, "--json").rows[0]["status"] == "applied"
    assert run("submit", ledger, unsent, "--json").rows[0]["status"] == "already"


@pytest.mark.parametrize("suite", ["p256", "sm2", "ml-dsa-44"])
def test_a_party_with_a_key_of_another_suite(deal: Path, run: Run, suite: str) -> None:
    """The file says of which suite it is, so that nothing is asked again."""
    ledger, file = deal / "deal.finchain", deal / "yard.pem"
    made = run("key", "new", file, "--suite", suite, "--json").rows[0]
    assert (made["suite"], run("key", "show", file, "--json").rows) == (suite, [made])
    assert run("register", ledger, "yard", "The yard", "--role", "supplier", "--key", file).code == 0
    claim = write(deal / "yard.json", {**CLAIM, "id": "r-yard", "creditor": "yard", "invoice": "yard 1"})
    sent = run("submit", ledger, claim, "--key", file)
    assert sent.code == 0, sent.err
    assert run("check", ledger).code == 0


def test_a_key_of_no_known_suite_is_not_made(tmp_path: Path, run: Run) -> None:
    assert run("key", "new", tmp_path / "x.pem", "--suite", "rsa").code != 0
    assert not (tmp_path / "x.pem").exists()


def test_enrolment_without_the_private_key(deal: Path, run: Run) -> None:
    ledger = deal / "deal.finchain"
    name = run("show", ledger, "--json").rows[0]["ledger"]
    for holder in ("li", "wang"):
        (deal / "words").write_text("a long passphrase\n")
        run("key", "new", deal / f"{holder}.pem", "--passphrase-file", deal / "words")
    asked = run(
        "key", "request", deal / "li.pem", deal / "wang.pem", "--ledger", name, "--party", "bank", "--holder", "Li",
        "--holder", "Wang", "--threshold", 2, "--passphrase-file", deal / "words", "--out", deal / "bank.request",
    )  # fmt: skip
    assert asked.code == 0, asked.err
    registered = run("register", ledger, "bank", "River Bank", "--role", "lender", "--request", deal / "bank.request")
    assert registered.code == 0, registered.err
    assert run("show", ledger, "party", "bank", "--json").rows[0]["threshold"] == 2
    assert run("key", "show", deal / "li.pem").code == 16, "the file is encrypted, and nobody gives the passphrase"


def test_every_kind_of_end_has_its_code(deal: Path, run: Run, tmp_path: Path) -> None:
    ledger = deal / "deal.finchain"
    assert run("show", tmp_path / "nothing").code == 16
    assert run("nonsense").code == 16
    assert run("show").code == 16, "an argument is missing, and 2 would pass for success"
    assert run("init", ledger, "--name", "example.org/other").code == 16
    wrong = run("show", ledger, "receivabel")
    assert wrong.code == 16 and "did you mean receivable?" in wrong.err
    (deal / "bad.json").write_text('{"type":"receivable.submit"')
    assert run("submit", ledger, deal / "bad.json", "--key", deal / "shop.pem").code == 8
    with fc.open(ledger):
        words = ["register", str(ledger), "bank", "Bank", "--role", "lender", "--key", str(deal / "shop.pem"), "--json"]
        locked = subprocess.run([sys.executable, "-m", "finchain", *words], capture_output=True, text=True, check=False)
    assert locked.returncode == 20 and json.loads(locked.stderr)["error"] == "LockedError"
    blocks = next((ledger / "blocks").iterdir())
    damaged = bytearray(blocks.read_bytes())
    damaged[damaged.index(b"Corner Computers")] ^= 1
    blocks.write_bytes(damaged)
    assert run("check", ledger).code == 12


def test_a_receipt_proves_nothing_to_who_trusts_another(deal: Path, run: Run) -> None:
    other = run("init", deal / "other", "--name", "example.org/deal", "--json").rows[0]["verifier_key"]
    run("prove", deal / "deal.finchain", "party", "shop", "--out", deal / "shop.receipt")
    assert run("verify", deal / "shop.receipt", "--trust", other, "--unwitnessed").code == 12
    unsaid = run("verify", deal / "shop.receipt", "--trust", other)
    assert unsaid.code == 16 and "--unwitnessed" in unsaid.err


def test_talk_goes_to_stderr_and_quiet_ends_it(deal: Path, run: Run) -> None:
    loud = run("key", "new", deal / "loud.pem")
    assert len(loud.out.splitlines()) == 1 and "only copy" in loud.err
    quiet = run("key", "new", deal / "quiet.pem", "--quiet")
    assert len(quiet.out.splitlines()) == 1 and quiet.err == ""


def test_the_installed_command_and_the_module_are_the_same() -> None:
    told = subprocess.run([sys.executable, "-m", "finchain", "--help"], capture_output=True, text=True, check=True)
    names = [line.split()[0] for line in told.stdout.partition("Commands:\n")[2].splitlines()]
    assert names[:3] == ["demo", "init", "key"] and names[-1] == "audit"
    assert "\\" not in told.stdout, "what only click reads is not for people"


def test_a_reader_that_goes_away_is_no_traceback(deal: Path) -> None:
    script = f"{sys.executable} -m finchain show {deal / 'deal.finchain'} party --json | true"
    ended = subprocess.run(script, shell=True, capture_output=True, text=True, check=False, env=os.environ)
    assert "Traceback" not in ended.stderr


def test_the_demo_tells_the_deal(run: Run, tmp_path: Path) -> None:
    told = run("demo", "--json", "--keep", tmp_path / "kept")
    assert told.code == 0, told.err
    by_title = {row["title"]: row for row in told.rows if "title" in row}
    assert by_title["A payment that nobody agreed to"]["outcome"] == "payment.not_whitelisted"
    assert {"record": "loan loan-1", "member": "outstanding", "shows": 0} in by_title["The day of payment"]["figures"]
    net_cash = next(row["net_cash_minor"] for row in told.rows if "net_cash_minor" in row)
    assert sum(net_cash.values()) == 0
    assert told.rows[-1]["audit"]["transactions"] == told.rows[-1]["audit"]["blocks"]
    assert fc.check(tmp_path / "kept" / "deal.finchain").blocks == told.rows[-1]["audit"]["blocks"]
    assert run("demo", "--keep", tmp_path / "kept").code == 16, "the folder is there"


def test_the_demo_in_words(run: Run) -> None:
    told = run("demo", "--quiet")
    assert told.code == 0 and told.err == ""
    assert "payment.not_whitelisted" in told.out and "proven for block" in told.out


def test_a_file_is_loaded_once(tmp_path: Path, key_folder: Path, run: Run) -> None:
    """The counts are on stdout, the exit code is that of the report, and a second run applies nothing twice."""
    (tmp_path / "orders.toml").write_text(
        'lane = "orders"\nconfirm = true\nmax_rejects = 1\n[input]\nformat = "csv"\n'
        '[columns]\ncreditor = "Seller"\ndebtor = "Buyer"\ninvoice = "No"\n'
        'amount = { column = "Amount", currency = "USD" }\ndue = { column = "Due", format = "%Y-%m-%d" }\n'
        '[parties]\nlookup = "parties.csv"\n[keys]\nseed = "for tests"\n'
    )
    (tmp_path / "parties.csv").write_text("value,id,name,roles,key\nSun,sun,Sonne,supplier,\nMoon,moon,Lune,debtor,\n")
    (tmp_path / "orders.csv").write_text(
        "No,Seller,Buyer,Amount,Due\n1,Sun,Moon,10.50,2026-05-01\n2,Sun,Moon,0,2026-05-01\n3,Sun,Moon,1,2026-05-01\n"
    )
    ledger, mapping = tmp_path / "night.finchain", tmp_path / "orders.toml"
    run("init", ledger, "--name", "example.org/night", "--simulated-from", "2026-03-02")
    words = ("load", ledger, mapping, "--input", tmp_path / "orders.csv", "--out", tmp_path / "out")
    assert run(*words).code == 8, "nobody is registered, so every row is rejected, which is beyond the limit"
    first = run(*words, "--enrol", "--json")
    assert first.code == 4 and first.rows[0]["enrolled"] == 2
    assert {name: first.rows[0][name] for name in ("rows", "applied", "refused", "rejected")} == {
        "rows": 3, "applied": 2, "refused": 0, "rejected": 1,
    }  # fmt: skip
    assert first.rows[0]["totals"] == {"USD": 1_150}
    again = run(*words, "--json")
    assert (again.code, again.rows[0]["already"]) == (4, 2)
    assert run("show", ledger, "--json").rows[0]["records"]["receivable"] == 2


@pytest.mark.parametrize("zone", [-300, 0, 480, 840])
def test_a_simulated_clock_moves_in_the_days_of_its_ledger(
    tmp_path: Path, key_folder: Path, run: Run, zone: int
) -> None:
    ledger = tmp_path / "far.finchain"
    run("init", ledger, "--name", "example.org/far", "--simulated-from", "2026-03-02", "--time-zone-minutes", zone)
    assert run("show", ledger, "--today", "2026-03-05", "--json").rows[0]["today"] == "2026-03-05"
    back = run("show", ledger, "--today", "2026-03-01")
    assert back.code == 16 and "does not go back" in back.err
    assert run("show", ledger).code == 0, "whoever was told so let go of the ledger"


def test_a_real_clock_is_not_moved(tmp_path: Path, key_folder: Path, run: Run) -> None:
    run("init", tmp_path / "real.finchain", "--name", "example.org/real")
    assert run("show", tmp_path / "real.finchain", "--today", "2026-03-05").code == 16


# ---- copies and damage


def test_backup_restore_confirm_and_repair_from_the_shell(deal: Path, run: Run) -> None:
    ledger, copy, back = deal / "deal.finchain", deal / "copy", deal / "back.finchain"
    assert submit(run, deal, CLAIM, "shop").code == 0
    copied = run("backup", ledger, copy, "--json", "--check")
    assert copied.code == 0, copied.err
    assert [row.get("new_blocks") for row in copied.rows] == [4, None]
    assert run("restore", copy, back).code == 0
    shown = run("show", back)
    assert shown.code == 0 and "is a copy that was not confirmed" in shown.err
    refused = run("submit", back, write(deal / "what.json", CLAIM), "--key", deal / "shop.pem", "--json")
    assert refused.code == 16 and json.loads(refused.err.splitlines()[-1])["error"] == "UnconfirmedError"
    assert run("confirm", back).code == 16
    assert run("confirm", back, "--signed-mark").code == 16, "nothing was signed yet"
    assert run("prove", ledger, "receivable", "R-1", "--out", deal / "R-1.receipt").code == 0
    confirmed = run("confirm", back, "--checkpoint", ledger / "checkpoint")
    assert confirmed.code == 0 and confirmed.out.startswith("confirmed; example.org/deal: 4 blocks")
    spoil(back, 2)
    checked = run("check", back, "--json")
    assert checked.code == 12
    told = json.loads(checked.err.splitlines()[-1])
    assert told["error"] == "DamageError" and told["facts"]["faults"][0]["height"] == 2
    assert "finchain repair" in run("check", back).err
    planned = run("repair", back, "--from", copy)
    assert (planned.code, planned.err) == (0, "nothing was written; --write writes it\n")
    assert run("repair", back, "--from", copy, "--write").out.startswith("put back: block 2")
    assert run("check", back).code == 0
    spoil(back, 2)
    spoil(copy, 2)
    left = run("repair", back, "--from", copy, "--write")
    assert left.code == 12 and "the copy has no whole block 2" in left.out


def spoil(ledger: Path, height: int) -> None:
    """Changes a byte of a block."""
    blocks = ledger / "blocks" / "00000000.blk"
    content = bytearray(blocks.read_bytes())
    content[frames_in(blocks)[height][0] + 200] ^= 1
    blocks.write_bytes(content)


def test_a_ledger_continues_another_from_the_shell(deal: Path, run: Run) -> None:
    ledger = deal / "deal.finchain"
    asked = ["init", deal / "next.finchain", "--name", "example.org/next", "--continues", ledger]
    assert run(*asked).code == 16, "the old one has signed nothing"
    assert run("prove", ledger, "party", "shop", "--out", deal / "shop.receipt").code == 0
    assert run(*asked).code == 0
    assert "continues example.org/deal" in run("check", deal / "next.finchain").out


def test_a_log_of_an_unattended_run_has_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json, quiet, lines in ((True, False, 2), (False, False, 0), (True, True, 0)):
        with Screen(as_json=as_json, quiet=quiet).progress("replaying blocks") as advance:
            for done in range(1, 2_500):
                if advance is not None:
                    advance(done, 2_499)
        told = capsys.readouterr().err.splitlines()
        assert len(told) == lines
    assert advance is None
