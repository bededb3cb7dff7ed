"""The benchmarks work: each runs once on a small workload. No figure is looked at."""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import house

ROWS = 64

BENCHES = house.REPOSITORY / "benches"


@pytest.fixture(autouse=True, scope="module")
def small_workloads() -> Iterator[None]:
    """Loads the benchmarks with a small workload, and nobody else's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(house.REPOSITORY))
        patch.setenv("FINCHAIN_BENCH_ROWS", str(ROWS))
        yield


def benchmark_classes() -> Iterator[tuple[str, str]]:
    """Module and class of every benchmark, found by reading, so that collecting the tests loads nothing."""
    for module in pkgutil.iter_modules([str(BENCHES)]):
        if not module.ispkg and module.name != "workload":
            source = (BENCHES / f"{module.name}.py").read_text("utf-8")
            yield from ((module.name, line[6:].rstrip(":")) for line in source.splitlines() if line[:6] == "class ")


def run_once(bench: Any, method: Callable[..., Any]) -> None:
    """As asv would: the cache, then for every parameter setup, the method, teardown."""
    cache = [bench.setup_cache()] if hasattr(bench, "setup_cache") else []
    params = getattr(bench, "params", ())
    columns = params if params and isinstance(params[0], list | tuple) else [params] if params else []
    for values in itertools.product(*columns):
        if hasattr(bench, "setup"):
            bench.setup(*cache, *values)
        result = method(*cache, *values)
        if method.__name__.startswith("timeraw_"):
            subprocess.run([sys.executable, "-c", result], check=True)
        if method.__name__.startswith("track_"):
            assert isinstance(result, int | float)
        if hasattr(bench, "teardown"):
            bench.teardown(*cache, *values)


@pytest.mark.parametrize(("module", "name"), list(benchmark_classes()))
def test_a_benchmark_runs(module: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cls = getattr(importlib.import_module(f"benches.{module}"), name)
    for number, (method_name, _) in enumerate(inspect.getmembers(cls, inspect.isfunction)):
        if method_name.startswith(("time_", "timeraw_", "track_")):
            folder = tmp_path / str(number)
            folder.mkdir()
            monkeypatch.chdir(folder)
            bench = cls()
            run_once(bench, getattr(bench, method_name))


def module(name: str) -> Any:
    """A module of the benchmarks, which are no part of what the tests import by themselves."""
    return importlib.import_module(f"benches.{name}")


def test_the_peers_run_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contest, writing = module("peers.contest"), module("peers.writing")
    contest.print_contest(writing.alone(tmp_path / "alone", ROWS), 1)
    contest.print_contest(module("peers.receipts").receipts(tmp_path / "receipts", ROWS), 1)
    contest.print_contest(module("peers.verification").verification(ROWS), 1)
    contest.print_contest(module("peers.importing").importing(tmp_path / "bytecode", ["nothing"]), 1)
    for audit in module("peers.auditing").auditing(tmp_path / "audit", ROWS):
        contest.print_contest(audit, 1)
    page = capsys.readouterr().out
    assert all(
        f"{target} met" in page or f"{target} missed" in page for target in ("P1", "P2", "P4", "P5", "P7", "P13")
    )
    assert "SQLite, a commit each" in page and "finchain, verified in Rust" in page and "audit on one core" in page


def test_instructions_are_compared_beside_the_bytes_that_were_signed(tmp_path: Path) -> None:
    workload, writing = module("workload"), module("peers.writing")
    with workload.opened(workload.found(tmp_path)) as ledger:
        texts = workload.batches(ledger, ROWS)
    bodies = list(writing._bodies(texts))
    assert len(bodies) == ROWS and all(any(body in text for text in texts) for body in bodies)


def test_a_load_tells_its_memory(tmp_path: Path) -> None:
    title, _, line = module("peers.memory").memory(tmp_path, (ROWS,))
    assert title.startswith("P12") and line.split()[0] == str(ROWS) and "P12 met" in line


def test_a_median_of_rounds_is_compared_with_the_first_entry_and_with_the_target() -> None:
    contest = module("peers.contest")
    target, beside = contest.Target("P1", 5), contest.Target("P4", 3, "other")
    entries = [
        contest.Entry("ours", lambda: lambda: 1, targets=(target, beside)),
        contest.Entry("other", lambda: lambda: 1),
    ]
    rounds = {
        "ours": [contest.Round(passed, 0.05) for passed in (0.1, 0.9, 0.2)],
        "other": [contest.Round(passed, 0.0) for passed in (0.4, 0.4, 0.4)],
    }
    lines = contest.table(contest.Contest("A title", "row", entries), rounds)
    assert lines[0] == "A title" and len(lines) == 4
    assert lines[2].split()[:7] == ["ours", "200000.00", "5", "10", "400%", "50000.00", "1.00"]
    assert lines[2].endswith("P1 met: 5 a second; P4 missed: 2.00, wanted 3 × other")
    assert lines[3].split() == ["other", "400000.00", "2", "2", "0%", "0.00", "2.00"]


def test_a_target_beside_a_peer_that_is_left_out_is_not_judged() -> None:
    target = module("peers.contest").Target("P4", 20, "somebody")
    assert target.verdict({"ours": 9.0}, "ours") == "P4 not judged: 20 × somebody"


def test_rounds_go_in_turn_and_each_is_finished_even_where_it_fails() -> None:
    contest = module("peers.contest")
    order: list[str] = []

    def entry(name: str, items: int) -> Any:
        def run() -> int:
            order.append(f"run {name}")
            return items

        def prepare() -> Any:
            order.append(f"prepare {name}")
            return run

        return contest.Entry(name, prepare, lambda: order.append(f"finish {name}"))

    contest.measured(contest.Contest("", "row", [entry("a", 1), entry("b", 2)]), 2)
    assert order == [f"{step} {name}" for name in ("a", "b") for step in ("prepare", "run", "finish")] * 2
    order.clear()
    with pytest.raises(ZeroDivisionError):
        contest.measured(contest.Contest("", "row", [entry("c", 0)]), 1)
    assert order == ["prepare c", "run c", "finish c"]


def test_who_is_not_here_is_left_out_and_the_reason_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contest, postgres, tessera = module("peers.contest"), module("peers.postgres"), module("peers.tessera")
    verification, writing = module("peers.verification"), module("peers.writing")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("cryptography", "nacl", "pymerkle", "psycopg"):
        for loaded in [each for each in sys.modules if each.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, loaded)
        monkeypatch.setitem(sys.modules, name, None)
    here = contest.Entry("here", lambda: lambda: 1)
    peers = [
        lambda: tessera.tessera(tessera.built(tmp_path), tmp_path, []),
        lambda: postgres.postgres_copy(tmp_path, []),
        lambda: verification.pyca([]),
        lambda: here,
        lambda: verification.pynacl([]),
        lambda: writing._pymerkle(tmp_path, []),
    ]
    assert list(contest.present(peers)) == [here]
    # A contest goes on without them.
    writing.together(tmp_path, ROWS)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 5 + 3
    missing = [line.partition(" needs ")[2].split(",")[0].split(".")[0] for line in told[:5]]
    assert missing == ["Go", "psycopg", "cryptography", "nacl", "pymerkle"]
    assert all(line.startswith("left out: ") for line in told)


def test_a_socket_that_no_server_could_bind_leaves_the_server_out(monkeypatch: pytest.MonkeyPatch) -> None:
    contest, postgres = module("peers.contest"), module("peers.postgres")
    # Without a path to any program nothing is made where the socket would do.
    monkeypatch.setenv("PATH", "")
    longest = Path("/" + "x" * (107 - len("/") - len("/.s.PGSQL.5432")))
    with pytest.raises(contest.Absent, match=r"needs psycopg|there is no pg_config"):
        postgres.Server(longest)
    with pytest.raises(contest.Absent, match="at most 107 characters"):
        postgres.Server(longest.with_name(longest.name + "x"))


@pytest.mark.parametrize("keys", ["rising", "random"])
def test_a_ledger_grows_and_tells_so_at_every_mark(keys: str, tmp_path: Path) -> None:
    lines = list(module("growth").grown(tmp_path, keys, 2_000, every=1_000, batch=20))
    assert [line["records"] for line in lines] == [1_000, 2_000]
    # The first night of each of the sixteen pairs has nothing to confirm.
    assert [line["instructions"] for line in lines] == [500 + 9 * 20, 500 + 25 * 20]
    assert all(line["open_s"] > 0 < line["opened_mb"] for line in lines)
    for column in ("read_killed_s", "open_killed_s"):
        assert [line[column] is None for line in lines] == [True, False]
