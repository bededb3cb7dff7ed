"""Submitting: signatures verified, rules run, state root in every block, synced before it is answered."""

from __future__ import annotations

import shutil
from pathlib import Path

from benches import workload


class Ingest:
    """One workload through the whole pipe, each time into a fresh copy of one ledger."""

    params = ("one instruction a signature", "a thousand instructions a signature")
    param_names = ("work",)
    number = 1
    rounds = 1
    repeat = 5
    warmup_time = 0
    timeout = 600

    def setup_cache(self) -> tuple[str, dict[str, list[bytes]]]:
        folder = workload.found(Path.cwd() / "template")
        with workload.copied(folder, Path.cwd() / "name") as ledger:
            texts = (workload.singles(ledger), workload.batches(ledger))
        return str(folder), dict(zip(self.params, texts, strict=True))

    def setup(self, cache: tuple[str, dict[str, list[bytes]]], work: str) -> None:
        template, texts = cache
        self.texts = texts[work]
        self.folder = Path.cwd() / "ingest"
        self.ledger = workload.copied(Path(template), self.folder)

    def teardown(self, cache: tuple[str, dict[str, list[bytes]]], work: str) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder)

    def time_ingest(self, cache: tuple[str, dict[str, list[bytes]]], work: str) -> None:
        workload.ingested(self.ledger, self.texts)


class Stages:
    """Where the time of an ingest went: microseconds an instruction, stage by stage. Stages overlap."""

    params = ("one instruction a signature", "a thousand instructions a signature")
    param_names = ("work",)
    unit = "microseconds"
    timeout = 600

    def setup_cache(self) -> dict[str, dict[str, float]]:
        folder = workload.found(Path.cwd() / "template")
        spent = {}
        sizes = (workload.ROWS, workload.BATCH_ROWS)
        for work, made, rows in zip(self.params, (workload.singles, workload.batches), sizes, strict=True):
            with workload.copied(folder, Path.cwd() / "stages") as ledger:
                texts = made(ledger)
                before = ledger.stage_times()
                workload.ingested(ledger, texts)
                after = ledger.stage_times()
            spent[work] = {stage: (after[stage] - before.get(stage, 0.0)) / rows * 1e6 for stage in after}
        return spent

    def track_decode(self, spent: dict[str, dict[str, float]], work: str) -> float:
        return spent[work]["decode"]

    def track_rules(self, spent: dict[str, dict[str, float]], work: str) -> float:
        return spent[work]["rules"]

    def track_encode(self, spent: dict[str, dict[str, float]], work: str) -> float:
        return spent[work]["encode"]

    def track_waiting_for_check(self, spent: dict[str, dict[str, float]], work: str) -> float:
        return spent[work]["waiting for check"]

    def track_core(self, spent: dict[str, dict[str, float]], work: str) -> float:
        python = {"decode", "rules", "encode", "waiting for check"}
        return sum(seconds for stage, seconds in spent[work].items() if stage not in python)
