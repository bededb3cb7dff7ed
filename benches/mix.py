"""A realistic mix under the full rulebook, beside the simplest instruction, in one run.

Of a hundred instructions 20 claim and 20 confirm, 20 offer and accept transfers of lots, 10 offer guarantees or pay
their fees, and 30 draw, pay out, request, approve, instruct and settle. The ledger with its certificates, guarantees,
loans, accounts and mandates is made before the clock starts. Anything refused is an error.

`python -m benches.mix` prints rates, processor time and the functions that take it.
"""

from __future__ import annotations

import cProfile
import hashlib
import pstats
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import finchain as fc
from benches import workload
from finchain import instructions as do
from finchain.domain.guarantee import Guarantee
from finchain.domain.party import Role
from finchain.domain.rule import Instruction

SIZE = min(workload.BATCH, max(100, workload.ROWS // 100 * 100))
"""Instructions under one set of signatures, a multiple of a hundred."""

DEALS = SIZE * 3 // 10
"""Certificates, guarantees, loans and accounts each: a record that every instruction touched would be no mix."""

BATCHES = max(1, min(10, workload.ROWS // SIZE))
"""Transactions of each kind: the fees of the guarantees last for thirteen, with those before the clock starts."""

STEPS = 4
"""Steps of the longest unit. Each stands in the transaction after that of the step before it, as in life: in one
transaction a claim and its confirmation would write one record where they write two."""

BY = ("shop", "debtor", "surety", "bank", "maker")
ROLES: tuple[list[Role], ...] = (
    ["supplier"], ["debtor"], ["guarantor"], ["lender", "controller", "settlement_bank"], ["supplier"],
)  # fmt: skip
AGREED, PAYING = date(2026, 3, 4), date(2026, 3, 9)
PAYEE = do.Payee("Mainboard Wholesale", "91110000MA001P1", "6222 0000 0001")
PAPER = hashlib.sha256(b"a paper").hexdigest()
RATE, LATE_RATE = do.Rate(435, 10_000), do.Rate(6_525, 100_000)


def together(signer: workload.Signer, instructions: Sequence[Instruction], by: Sequence[str] = BY) -> bytes:
    """A transaction that each party signs once, as it is sent."""
    sequence = signer.sequences[by[0]] = signer.sequences.get(by[0], 0) + 1
    transaction = fc.Transaction.build(
        instructions, by=by, ledger=signer.name, lane=signer.lane, sequence=sequence, expires_ms=signer.expires_ms,
        mode="each",
    )  # fmt: skip
    for party in by:
        transaction.sign(workload.key_of(party), f"{party}/1")
    return transaction.to_bytes()


def found(folder: Path) -> Path:
    """Makes the template: every deal has money on its account, a lot to transfer and a fee that is owed."""
    clock = fc.SimulatedClock(AGREED)
    with fc.create(
        folder / "ledger", name="bench.example/mix", keys=folder / "keys", operator=workload.key_of("operator"),
        clock=clock,
    ) as ledger:  # fmt: skip
        for party, roles in zip(BY, ROLES, strict=True):
            ledger.register(party, party.title(), roles=roles, key=workload.key_of(party))
        signer = workload.Signer(ledger, "made")
        workload.ingested(ledger, [together(signer, list(_agreed(n))) for n in range(DEALS)])
        clock.move_to(PAYING)
        workload.ingested(ledger, [together(signer, list(_drawn(n, "first", 20_000_000))) for n in range(DEALS)])
    return folder


def _agreed(n: int) -> Iterator[Instruction]:
    claim, lot = f"C-{n}", f"cert-{n} 36000001"
    yield do.SubmitReceivable(claim, "shop", "debtor", 116_000_000, "CNY", workload.DUE, f"DEAL-{n:09}")
    yield do.ConfirmReceivable(claim, 116_000_000)
    yield _guarantee(f"guarantee-{n}", f"cert-{n}")
    yield do.IssueCertificate(
        f"cert-{n}", "debtor", "shop", 116_000_000, "CNY", workload.DUE, [do.ClaimShare(claim, 116_000_000)], "bank",
        "pro_solvendo", guarantees=[f"guarantee-{n}"],
    )  # fmt: skip
    yield do.AcceptCertificate(f"cert-{n}")
    yield do.OfferTransfer(f"cert-{n} 1", "maker", 36_000_000, PAPER, recourse=False)
    yield do.AcceptTransfer(f"cert-{n} 1")
    yield do.OpenAccount(f"account-{n}", "shop", "bank", ["bank"], "CNY", "parts", f"6222 {n:08}")
    yield do.AgreeLoan(
        f"loan-{n}", "bank", "shop", 72_000_000, 9_000, RATE, LATE_RATE, "act/360", "settlement",
        "interest_at_maturity", 0, date(2026, 4, 30), workload.DUE, f"account-{n}", "interest_first",
    )  # fmt: skip
    yield do.PledgeLot(lot, 80_000_000, f"loan-{n}", f"0306-{n}", AGREED, PAPER)
    yield do.SetMandate(
        f"account-{n}", "parts", "goods", PAYEE, 72_000_000, 72_000_000, PAYING, workload.DUE, ["invoice"]
    )  # fmt: skip


def _guarantee(id: str, certificate: str) -> Instruction:
    return do.OfferGuarantee(
        id, "surety", "debtor", "certificate", certificate, "CNY", "non_financing", "joint_several", "proportional",
        8_000, 92_800_000, ["principal"], do.Rate(100, 10_000), "act/360", "debtor", date(2027, 2, 28), PAYING,
    )  # fmt: skip


def _drawn(n: int, name: str, amount_minor: int) -> Iterator[Instruction]:
    yield do.DrawLoan(f"loan-{n}", name, amount_minor)
    yield do.DisburseLoan(f"loan-{n}", name, amount_minor, f"OUT {n} {name}", PAPER)


def _claimed(id: str) -> Iterator[Instruction]:
    yield do.SubmitReceivable(id, "shop", "debtor", workload.AMOUNT_MINOR, "CNY", workload.DUE, f"INV-{id}")
    yield do.ConfirmReceivable(id, workload.AMOUNT_MINOR)


def _paid(n: int, id: str) -> Iterator[Instruction]:
    papers = [do.Paper("invoice", hashlib.sha256(id.encode()).hexdigest())]
    yield do.RequestPayment(id, f"account-{n}", "parts", 100_000, "goods", PAYEE, papers)
    yield do.ApprovePayment(id)
    yield do.InstructPayment(id)
    yield do.SettlePayment(id, 100_000, f"PAY {id}", PAPER)


class Mixture:
    """Makes batches of the mix; the seed decides the order, in which no step precedes the one that it needs."""

    def __init__(self, ledger: fc.Ledger) -> None:
        self._fees = [ledger.get(Guarantee, f"guarantee-{n}").fee_minor for n in range(DEALS)]
        self._random = random.Random(7)
        self._holders = dict.fromkeys(range(DEALS), "maker")

    def batches(self) -> list[list[Instruction]]:
        """The instructions of each transaction. The first `STEPS - 1` have not the shares of the mix yet."""
        batches: list[list[Instruction]] = [[] for _ in range(BATCHES + 2 * (STEPS - 1))]
        for number in range(BATCHES + STEPS - 1):
            for steps in self._units(number):
                for step, instruction in enumerate(steps):
                    batches[number + step].append(instruction)
        whole = batches[: BATCHES + STEPS - 1]
        for batch in whole:
            self._random.shuffle(batch)
        assert all(len(batch) == SIZE for batch in whole[STEPS - 1 :]), "a transaction lacks some of the mix"
        return whole

    def _units(self, number: int) -> Iterator[list[Instruction]]:
        hundreds = SIZE // 100
        # A lot that is offered in one transaction is accepted in the next, and free in the one after.
        lots = self._random.sample(range(number % 2, DEALS, 2), 10 * hundreds)
        for k in range(20 * hundreds):
            yield list(_claimed(f"R-{number:03}-{k:04}"))
        for n in lots:
            to = self._holders[n] = "shop" if self._holders[n] == "maker" else "maker"
            yield [
                do.OfferTransfer(f"cert-{n} 1", to, 36_000_000, PAPER, recourse=False),
                do.AcceptTransfer(f"cert-{n} 1"),
            ]
        for k in range(6 * hundreds):
            yield [_guarantee(f"new-{number}-{k}", f"planned-{number}-{k}")]
        for k in range(2 * hundreds):
            n = number * 2 * hundreds + k
            id, fee = f"guarantee-{n}", self._fees[n]
            yield [do.PayGuaranteeFee(id, fee), do.ReceiveGuaranteeFee(id, fee, f"FEE {n}", PAPER)]
        for k, n in enumerate(self._random.sample(range(DEALS), 3 * hundreds)):
            yield list(_drawn(n, f"draw-{number}-{k}", 1_000_000))
        for k, n in enumerate(self._random.sample(range(DEALS), 6 * hundreds)):
            yield list(_paid(n, f"P-{number}-{k}"))


def texts_of(ledger: fc.Ledger) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """What both kinds begin with, then transactions of the simplest instruction, then as many of the mix."""
    signer, mixture = workload.Signer(ledger, "simple"), Mixture(ledger)
    simple = [
        together(signer, [next(_claimed(f"S-{number:03}-{k:04}")) for k in range(SIZE)], ["shop"])
        for number in range(BATCHES)
    ]  # fmt: skip
    signer = workload.Signer(ledger, "mixed")
    mixed = [together(signer, batch) for batch in mixture.batches()]
    return mixed[: STEPS - 1], simple, mixed[STEPS - 1 :]


def measured(folder: Path, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds that passed and seconds of processor time of each round, by kind, the kinds in turn."""
    template = found(folder / "template")
    with workload.copied(template, folder / "name") as ledger:
        begun, simple, mixed = texts_of(ledger)
    texts = {"simple": simple, "mixed": mixed}
    spent: dict[str, list[tuple[float, float]]] = {kind: [] for kind in texts}
    for _ in range(rounds):
        for kind, batch in texts.items():
            with workload.copied(template, folder / kind) as ledger:
                workload.ingested(ledger, begun)
                passed, worked = time.perf_counter(), time.process_time()
                workload.ingested(ledger, batch)
                spent[kind].append((time.perf_counter() - passed, time.process_time() - worked))
    return spent


class Mix:
    """The mix and the simplest instruction in turn, five rounds; `ratio` is that of the median rates."""

    params = ("simple a second", "mixed a second", "ratio", "ratio of processor time")
    param_names = ("figure",)
    timeout = 600

    def setup_cache(self) -> dict[str, float]:
        return figures(measured(Path.cwd(), 5))

    def track_mix(self, found: dict[str, float], figure: str) -> float:
        return found[figure]


def figures(spent: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """Rates and ratios from the medians of the rounds; a ratio below 1 says that the mix is slower."""
    passed = {kind: statistics.median(row[0] for row in rows) for kind, rows in spent.items()}
    worked = {kind: statistics.median(row[1] for row in rows) for kind, rows in spent.items()}
    return {
        "simple a second": BATCHES * SIZE / passed["simple"],
        "mixed a second": BATCHES * SIZE / passed["mixed"],
        "ratio": passed["simple"] / passed["mixed"],
        "ratio of processor time": worked["simple"] / worked["mixed"],
    }


def main() -> None:
    """Prints the figures of seven rounds, then stages and functions of one round of the mix under the profiler."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for figure, value in figures(measured(folder, 7)).items():
            print(f"{figure:26}{value:12,.2f}")
        for kind in (1, 2):
            with workload.copied(folder / "template", folder / "profile") as ledger:
                texts = texts_of(ledger)
                workload.ingested(ledger, texts[0])
                before = ledger.stage_times()
                workload.ingested(ledger, texts[kind])
            after = ledger.stage_times()
            rows = BATCHES * SIZE
            print(", ".join(f"{k} {(after[k] - before.get(k, 0.0)) / rows * 1e6:.1f}" for k in after), "µs")
        with workload.copied(folder / "template", folder / "profile") as ledger:
            profile = cProfile.Profile()
            begun, _, mixed = texts_of(ledger)
            workload.ingested(ledger, begun)
            profile.runcall(workload.ingested, ledger, mixed)
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
