"""Submitting: signatures verified, rules run, state root in every block, synced before it is answered."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from benches import workload


class Ingest:
    """One workload through the whole pipe, each time into a fresh copy of one ledger."""

    params = (
        "one instruction a signature", "a thousand instructions a signature",
        "one instruction a signature, and one forged for each hundred",
    )  # fmt: skip
    param_names = ("work",)
    number = 1
    rounds = 1
    repeat = 5
    warmup_time = 0
    timeout = 600

    def setup_cache(self) -> tuple[str, dict[str, list[bytes]]]:
        folder = workload.found(Path.cwd() / "template")
        with workload.copied(folder, Path.cwd() / "name") as ledger:
            singles = workload.singles(ledger)
            texts = (singles, workload.batches(ledger), workload.among_forged(ledger, singles))
        return str(folder), dict(zip(self.params, texts, strict=True))

    def setup(self, cache: tuple[str, dict[str, list[bytes]]], work: str) -> None:
        template, texts = cache
        self.texts = texts[work]
        self.forged = len(self.texts) - len(texts[self.params[0]]) if work == self.params[2] else 0
        self.folder = Path.cwd() / "ingest"
        self.ledger = workload.copied(Path(template), self.folder)

    def teardown(self, cache: tuple[str, dict[str, list[bytes]]], work: str) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder)

    def time_ingest(self, cache: tuple[str, dict[str, list[bytes]]], work: str) -> None:
        workload.ingested(self.ledger, self.texts, self.forged)


class Stages:
    """Where the time of an ingest went: microseconds an instruction that each stage worked. Stages overlap."""

    params = (
        Ingest.params[:2],
        (
            "parse", "verify", "waiting for check", "decode", "rules", "encode", "hash", "state", "append", "index",
            "all, as time passed",
        ),
    )  # fmt: skip
    param_names = ("work", "stage")
    unit = "microseconds"
    timeout = 600

    def setup_cache(self) -> dict[str, dict[str, float]]:
        folder = workload.found(Path.cwd() / "template")
        spent = {}
        sizes = (workload.ROWS, workload.BATCH_ROWS)
        for work, made, rows in zip(self.params[0], (workload.singles, workload.batches), sizes, strict=True):
            with workload.copied(folder, Path.cwd() / "stages") as ledger:
                texts = made(ledger)
                before = ledger.stage_times()
                started = time.perf_counter()
                workload.ingested(ledger, texts)
                passed = time.perf_counter() - started
            # Closing has finished the index, which may lag behind the answers.
            after = ledger.stage_times()
            seconds = {stage: after[stage] - before.get(stage, 0.0) for stage in after}
            seconds["all, as time passed"] = passed
            spent[work] = {stage: seconds[stage] / rows * 1e6 for stage in self.params[1]}
        return spent

    def track_stage(self, spent: dict[str, dict[str, float]], work: str, stage: str) -> float:
        return spent[work][stage]
