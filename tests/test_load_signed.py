"""Keys stay at home: what a party signs of a night's file is prepared here, signed there, and sent when it is back."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import finchain as fc
from finchain import batch
from finchain import instructions as do
from finchain.batch import sending
from finchain.cli import run
from finchain.domain.key import Duty
from finchain.keys import CommandKey
from loads import DAY, LOOKUP, MAPPING, altered, claims_of, founded, lines_of, loaded, orders, rejects_of

PARTIES = ("sun", "moon", "ci", "pe")


@pytest.fixture
def desk(tmp_path: Path, key_folder: Path) -> Path:
    """A folder with mapping and lookup, in which no key of a party is named."""
    (tmp_path / "mapping.toml").write_text(MAPPING.replace('[keys]\nseed = "a test"\n', ""), "utf-8")
    (tmp_path / "parties.csv").write_text(LOOKUP, "utf-8")
    (tmp_path / "orders.csv").write_text(orders(30))
    return tmp_path


@pytest.fixture
def ledger(desk: Path) -> Iterator[fc.Ledger]:
    """A ledger with a real clock, whose parties were registered with keys that are elsewhere."""
    with fc.create(desk / "night.finchain", name="example.org/night") as made:
        for party in PARTIES:
            made.register(party, party, roles=["supplier", "debtor"], key=key_of(party))
        yield made


def key_of(party: str) -> fc.Key:
    """A key that the load's machine never sees: no file holds it."""
    return fc.Key.from_seed(hashlib.sha256(f"at home {party}".encode()).digest())


def part_of(desk: Path, party: str) -> Path:
    return desk / "parts" / f"{party}.part.jsonl"


def prepared(ledger: fc.Ledger, desk: Path) -> batch.LoadReport:
    return loaded(ledger, desk, prepare=desk / "parts")


def sign(desk: Path, *parties: str) -> None:
    for party in parties:
        batch.sign_part(part_of(desk, party), [key_of(party)])


def sent(ledger: fc.Ledger, desk: Path) -> batch.LoadReport:
    return loaded(ledger, desk, signed=desk / "parts")


def test_what_is_signed_elsewhere_ends_as_if_it_had_been_signed_here(ledger: fc.Ledger, desk: Path) -> None:
    height = ledger.height
    report = prepared(ledger, desk)
    assert (report.prepared, report.exit_code, ledger.height) == (4, 0, height)
    sign(desk, *PARTIES)
    done = sent(ledger, desk)
    assert (done.applied, done.exit_code, done.refused) == (30, 0, 0)
    altered(desk, "[parties]", '[keys]\nseed = "a test"\n[parties]')
    (desk / "here").mkdir()
    with founded(desk, "here/night.finchain") as here:
        batch.load(here, desk / "mapping.toml", out=desk / "here" / "out")
        assert claims_of(here) == claims_of(ledger)
    altered(desk, '[keys]\nseed = "a test"\n', "")
    again = sent(ledger, desk)
    assert (again.already, again.sent, again.exit_code) == (30, 0, 0)


def test_a_signer_sees_what_is_signed(ledger: fc.Ledger, desk: Path) -> None:
    prepared(ledger, desk)
    sun = batch.read_summary(part_of(desk, "sun"))
    assert sun.claim is not None and sun.confirm is None
    assert (sun.claim.instructions, sun.claim.transactions) == (15, 4)
    assert sun.claim.sums == {"USD": sum(10_000 + n for n in range(0, 30, 2))}
    peru = batch.read_summary(part_of(desk, "pe"))
    assert peru.confirm is not None and peru.claim is None
    assert "confirms 16 in 4 transactions: 1," in str(peru) and "due 2025-08-01 to 2025-08-01" in str(peru)
    before = sun.digest
    sign(desk, "sun")
    assert batch.read_summary(part_of(desk, "sun")).digest == before


def test_the_same_run_prepares_the_same(ledger: fc.Ledger, desk: Path) -> None:
    prepared(ledger, desk)
    with pytest.raises(fc.ConfigError, match="is there already"):
        prepared(ledger, desk)
    loaded(ledger, desk, prepare=desk / "second")

    def contents(folder: str) -> list[tuple[str, int, str]]:
        lines = [line for path in sorted((desk / folder).iterdir()) for line in path.read_bytes().splitlines()]
        found = [fc.Transaction.from_saved(line) for line in lines if b'"transaction":' in line]
        return [(each.lane, each.sequence, each.ticket.content) for each in found]

    assert contents("parts") == contents("second") and len(contents("parts")) == 16


def test_claims_tonight_and_confirmations_tomorrow(ledger: fc.Ledger, desk: Path) -> None:
    prepared(ledger, desk)
    sign(desk, "sun", "moon", "pe")
    part_of(desk, "ci").rename(desk / "late")
    tonight = sent(ledger, desk)
    assert (tonight.applied, tonight.waiting, tonight.exit_code) == (16, 14, 4)
    assert tonight.codes == {"row.not_signed": 14} and len(rejects_of(tonight)) == 14
    assert "ci has not given back its part" in rejects_of(tonight)[0]["reason"]
    assert len(claims_of(ledger)) == 30
    # Those who were sent need not be there again.
    for party in ("sun", "moon", "pe"):
        part_of(desk, party).unlink()
    (desk / "late").rename(part_of(desk, "ci"))
    sign(desk, "ci")
    tomorrow = sent(ledger, desk)
    assert (tomorrow.applied, tomorrow.waiting, tomorrow.exit_code) == (30, 0, 0)
    assert {claim.status for claim in claims_of(ledger).values()} == {"confirmed"}


def test_whoever_has_not_signed_costs_its_rows_and_nobody_else_their_claims(ledger: fc.Ledger, desk: Path) -> None:
    prepared(ledger, desk)
    sign(desk, "moon", "pe", "ci")
    tonight = sent(ledger, desk)
    # The debtors' transactions confirm claims of both: they wait until the other half is there.
    assert (tonight.rejected, tonight.waiting, tonight.applied) == (15, 15, 0)
    assert (len(claims_of(ledger)), tonight.exit_code) == (15, 4)
    sign(desk, "sun")
    assert sent(ledger, desk).applied == 30


def test_a_part_that_is_signed_twice_is_signed_once(ledger: fc.Ledger, desk: Path) -> None:
    prepared(ledger, desk)
    sign(desk, *PARTIES)
    before = part_of(desk, "sun").read_bytes()
    sign(desk, "sun")
    assert part_of(desk, "sun").read_bytes() == before
    assert sent(ledger, desk).applied == 30


def test_a_signed_load_that_was_stopped_goes_on(ledger: fc.Ledger, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "CHUNK_TRANSACTIONS", 2)
    prepared(ledger, desk)
    sign(desk, *PARTIES)

    def interrupt(done: int, planned: int | None) -> None:
        if done == 8 and planned is not None:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        loaded(ledger, desk, signed=desk / "parts", progress=interrupt)
    assert len(claims_of(ledger)) == 8
    assert sent(ledger, desk).applied == 30


def test_a_maker_does_not_replace_a_checker(ledger: fc.Ledger, desk: Path) -> None:
    duties: tuple[Duty, ...] = ("maker", "maker", "checker")
    holders = [fc.Holder(fc.Key.generate(), str(n), duty=duty) for n, duty in enumerate(duties)]
    ledger.register("two", "Four Eyes", roles=["supplier"], keys=holders, threshold=2)
    with (desk / "parties.csv").open("a", encoding="utf-8") as file:
        file.write("Two,two,Four Eyes,supplier,\n")
    (desk / "orders.csv").write_text(lines_of("1,Two,Peru,5,USD,2.1.2026"))
    prepared(ledger, desk)
    sign(desk, "pe")
    unsigned = part_of(desk, "two").read_bytes()
    batch.sign_part(part_of(desk, "two"), [holders[0].key, holders[1].key])
    with pytest.raises(fc.ConfigError, match="by makers alone"):
        sent(ledger, desk)
    part_of(desk, "two").write_bytes(unsigned)
    batch.sign_part(part_of(desk, "two"), [holders[0].key, holders[2].key])
    assert sent(ledger, desk).applied == 1


def test_confirmations_that_the_ledger_has_overtaken_are_prepared_again(ledger: fc.Ledger, desk: Path) -> None:
    """Somebody claims an invoice of the file in another way, after its confirmation was prepared."""
    prepared(ledger, desk)
    sign(desk, *PARTIES)
    claim = do.SubmitReceivable("sun/I-0", "sun", "pe", 5, "USD", DAY, "other")
    ledger.submit(claim, by=key_of("sun"))
    with pytest.raises(fc.ConfigError, match="ledger has changed since"):
        sent(ledger, desk)
    assert len(claims_of(ledger)) == 1
    loaded(ledger, desk, prepare=desk / "again")
    for party in PARTIES:
        batch.sign_part(desk / "again" / f"{party}.part.jsonl", [key_of(party)])
    report = loaded(ledger, desk, signed=desk / "again")
    assert (report.applied, report.codes) == (29, {"receivable.duplicate": 1})


def test_parts_that_nobody_signed_commit_nothing(ledger: fc.Ledger, desk: Path) -> None:
    height = ledger.height
    prepared(ledger, desk)
    report = sent(ledger, desk)
    assert (report.exit_code, report.rejected, ledger.height) == (8, 30, height)
    altered(desk, "max_rejects = 20", 'max_rejects = "100%"')
    assert (sent(ledger, desk).problem, ledger.height) == ("no row would be applied", height)


def test_several_holders_sign_one_after_the_other(ledger: fc.Ledger, desk: Path) -> None:
    holders = [fc.Holder(fc.Key.generate(), name) for name in ("a", "b", "c")]
    ledger.register("two", "Four Eyes", roles=["supplier"], keys=holders, threshold=2)
    with (desk / "parties.csv").open("a", encoding="utf-8") as file:
        file.write("Two,two,Four Eyes,supplier,\n")
    (desk / "orders.csv").write_text(lines_of("1,Two,Peru,5,USD,2.1.2026"))
    assert prepared(ledger, desk).codes == {}
    sign(desk, "pe")
    for holder, codes in ((holders[0], {"row.not_signed": 1}), (holders[1], {})):
        batch.sign_part(part_of(desk, "two"), [holder.key])
        assert loaded(ledger, desk, signed=desk / "parts", dry_run=True).codes == codes
    assert sent(ledger, desk).applied == 1


def test_more_signatures_than_are_asked_for_are_found_before_anything_is_sent(ledger: fc.Ledger, desk: Path) -> None:
    other = fc.Key.generate()
    ledger.register("duo", "Either", roles=["supplier"], keys=[fc.Holder(other, "a"), fc.Holder(key_of("duo"), "b")])
    with (desk / "parties.csv").open("a", encoding="utf-8") as file:
        file.write("Duo,duo,Either,supplier,\n")
    (desk / "orders.csv").write_text(lines_of("1,Duo,Peru,5,USD,2.1.2026"))
    prepared(ledger, desk)
    batch.sign_part(part_of(desk, "duo"), [other, key_of("duo")])
    with pytest.raises(fc.ConfigError, match="2 signatures, and 1 are needed"):
        sent(ledger, desk)


def test_a_key_of_somebody_else_signs_nothing(ledger: fc.Ledger, desk: Path) -> None:
    prepared(ledger, desk)
    before = part_of(desk, "sun").read_bytes()
    with pytest.raises(fc.ConfigError, match="is not one of sun"):
        batch.sign_part(part_of(desk, "sun"), [key_of("moon")])
    assert part_of(desk, "sun").read_bytes() == before
    sign(desk, "moon", "pe", "ci")
    for key_id, why in (("moon/1", "no live key of sun"), ("sun/1", "signature of sun/1 is not that key's")):
        part_of(desk, "sun").write_bytes(before)
        batch.sign_part(part_of(desk, "sun"), [key_of("moon")], key_id)
        with pytest.raises(fc.ConfigError, match=why):
            sent(ledger, desk)
    assert claims_of(ledger) == {}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'"amount_minor":10000', b'"amount_minor":90000', "line 1"),
        (b'"sums":{"USD":', b'"sums":{"USD":1', "the summary is not that"),
        (b'"type":"finchain.unsent_part.1"}\n', b"", "cut off"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("signed", [False, True])
def test_a_part_that_was_changed_is_neither_signed_nor_taken(
    ledger: fc.Ledger, desk: Path, old: bytes, new: bytes, why: str, signed: bool
) -> None:
    prepared(ledger, desk)
    if signed:
        sign(desk, *PARTIES)
    part = part_of(desk, "sun")
    whole = part.read_bytes()
    assert old in whole
    part.write_bytes(whole.replace(old, new))
    with pytest.raises(fc.ConfigError, match=why):
        batch.sign_part(part, [key_of("sun")])
    with pytest.raises(fc.ConfigError, match=why):
        sent(ledger, desk)
    assert claims_of(ledger) == {}


def test_a_part_that_lost_lines_is_not_taken(ledger: fc.Ledger, desk: Path) -> None:
    prepared(ledger, desk)
    sign(desk, *PARTIES)
    part = part_of(desk, "sun")
    lines = part.read_bytes().splitlines(keepends=True)
    for kept in (lines[:-1], lines[1:], [], [b"no JSON\n"]):
        part.write_bytes(b"".join(kept))
        with pytest.raises(fc.ConfigError, match=r"cut off|summary is not"):
            sent(ledger, desk)


def test_a_part_of_another_run_or_twice_is_not_taken(ledger: fc.Ledger, desk: Path) -> None:
    prepared(ledger, desk)
    sign(desk, *PARTIES)
    with pytest.raises(fc.ConfigError, match="and this is run other"):
        loaded(ledger, desk, signed=desk / "parts", run_id="other")
    (desk / "parts" / "copy.jsonl").write_bytes(part_of(desk, "sun").read_bytes())
    with pytest.raises(fc.ConfigError, match="holds again"):
        sent(ledger, desk)


def test_a_part_of_another_content_is_not_taken(ledger: fc.Ledger, desk: Path) -> None:
    loaded(ledger, desk, prepare=desk / "parts", run_id="r")
    sign(desk, *PARTIES)
    (desk / "orders.csv").write_text(orders(30).replace("100.00", "900.00"))
    with pytest.raises(fc.ConfigError, match="not what the file makes now"):
        loaded(ledger, desk, signed=desk / "parts", run_id="r")


def test_a_part_is_good_for_thirty_days(desk: Path) -> None:
    clock = fc.SimulatedClock(DAY)
    with fc.create(desk / "slow.finchain", name="example.org/slow", clock=clock) as slow:
        for party in PARTIES:
            slow.register(party, party, roles=["supplier", "debtor"], key=key_of(party))
        loaded(slow, desk, prepare=desk / "parts")
        sign(desk, *PARTIES)
        clock.advance(days=29)
        assert loaded(slow, desk, signed=desk / "parts", dry_run=True).exit_code == 0
        clock.advance(days=2)
        with pytest.raises(fc.ConfigError, match="was to be sent before"):
            loaded(slow, desk, signed=desk / "parts")


def test_a_bad_file_prepares_nothing(ledger: fc.Ledger, desk: Path) -> None:
    report = loaded(ledger, desk, orders(1) + "x\n" * 21, prepare=desk / "parts")
    assert (report.exit_code, report.prepared, list((desk / "parts").iterdir())) == (8, 0, [])


def test_parties_that_sign_elsewhere_are_not_registered_by_a_load(ledger: fc.Ledger, desk: Path) -> None:
    for more in ({"enrol": True, "prepare": desk / "parts"}, {"signed": desk / "parts", "prepare": desk / "parts"}):
        with pytest.raises(fc.ConfigError, match="enrolment requests"):
            loaded(ledger, desk, **more)
    with pytest.raises(fc.NotFound, match="no folder of signed parts"):
        sent(ledger, desk)


SIGNER = """
import base64, sys
import finchain as fc
key = fc.Key.load(sys.argv[1])
sys.stdout.buffer.write(base64.b64encode(key.sign(sys.stdin.buffer.read())) + b"\\n")
"""


def test_a_command_signs_where_the_key_is_in_no_file_of_ours(
    ledger: fc.Ledger, desk: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prepared(ledger, desk)
    sign(desk, "moon", "pe", "ci")
    key_of("sun").save(desk / "sun.pem")
    (desk / "signer.py").write_text(SIGNER)
    command = f"{sys.executable} {desk / 'signer.py'} {desk / 'sun.pem'}"
    part = str(part_of(desk, "sun"))
    assert run(["sign", part, "--sign-with", command]) == 16
    assert run(["sign", part, "--sign-with", command, "--key-id", "sun/1"]) == 0
    assert "claims 15 in 4 transactions" in capfd.readouterr().err
    assert sent(ledger, desk).applied == 30


@pytest.mark.parametrize(
    ("code", "why"),
    [("print('hello')", "no signature"), ("import sys; sys.exit('no card')", "no card"), ("", "gave 0 bytes")],
)
def test_a_command_that_fails_signs_nothing(code: str, why: str) -> None:
    with pytest.raises(fc.ConfigError, match=why):
        CommandKey([sys.executable, "-c", code]).sign(b"message")
    with pytest.raises(fc.ConfigError, match="cannot be run"):
        CommandKey(["/no/such/program"]).sign(b"message")


def test_a_command_may_give_raw_bytes() -> None:
    code = "import sys; sys.stdout.buffer.write(bytes(64))"
    assert CommandKey([sys.executable, "-c", code]).sign(b"message") == bytes(64)


def test_a_load_on_the_command_line_needs_no_key_of_a_party(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with fc.create(desk / "cli.finchain", name="example.org/cli") as made:
        for party in PARTIES:
            made.register(party, party, roles=["supplier", "debtor"], key=key_of(party))
            key_of(party).save(desk / f"{party}.pem")
    words = ["load", str(desk / "cli.finchain"), str(desk / "mapping.toml"), "--out", str(desk / "out")]
    assert run([*words, "--prepare", str(desk / "parts")]) == 0
    assert "4 files to be signed" in capfd.readouterr().out
    for party in PARTIES:
        assert run(["sign", str(part_of(desk, party)), "--key", str(desk / f"{party}.pem"), "--json"]) == 0
        assert msgspec.json.decode(capfd.readouterr().out.encode())["party"] == party
        (desk / f"{party}.pem").unlink()
    assert run([*words, "--signed", str(desk / "parts")]) == 0
    assert "30 applied" in capfd.readouterr().out
