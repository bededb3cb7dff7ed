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


def test_the_peers_run_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = importlib.import_module("benches.peers.run")
    run.print_contest(run.writing(tmp_path, ROWS), 1)
    run.print_contest(run.receipts(tmp_path, ROWS), 1)
    page = capsys.readouterr().out
    assert "Durable writing" in page and "SQLite" in page and "finchain, verified" in page
