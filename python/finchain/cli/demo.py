"""`finchain demo`: one deal told step by step on a real ledger, with a refusal explained and a receipt verified.

The deal is that of `finchain.demo_deal`; its clock is simulated and its keys are made for the occasion.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import msgspec

import finchain as fc
from finchain.cli.options import FOLDER, talks
from finchain.cli.screen import Screen, refused_text
from finchain.demo_deal import NET_CASH, PARTIES, START, Figure, Step, deal, yuan
from finchain.domain.receivable import Receivable
from finchain.errors import FinchainError

PROVEN = (Receivable, "claim-1")
"""The record that the receipt of the demo is about: the claim with which it all began."""


@click.command()
@click.option("--keep", type=FOLDER, help="Puts ledger, keys and receipt into this new folder, and leaves them there.")
@talks
def demo(screen: Screen, keep: Path | None) -> None:
    """Plays one deal: a claim, its guarantee, a certificate in parts, a loan with payees, the day of payment."""
    started = time.perf_counter()
    if keep is not None:
        keep.mkdir(parents=True)
    folder = keep or Path(tempfile.mkdtemp(prefix="finchain-demo-"))
    try:
        _play(screen, folder)
    finally:
        if keep is None:
            shutil.rmtree(folder)
    where = f"; it is all in {keep}" if keep else ""
    screen.talk(f"\n{time.perf_counter() - started:.1f} s{where}")


def _play(screen: Screen, folder: Path) -> None:
    """The whole deal in `folder`, from founding the ledger to verifying it."""
    clock = fc.SimulatedClock(START)
    path, receipt = folder / "deal.finchain", folder / "claim.receipt"
    with fc.create(path, name="example.org/deal", keys=folder / "keys", clock=clock) as ledger:
        keys = _register(screen, ledger)
        for number, step in enumerate(deal(), 1):
            clock.move_to(step.day)
            _tell(screen, ledger, number, step, keys)
        _cash(screen)
        ledger.prove(*PROVEN).save(receipt)
        trust = ledger.verifier_key
    _verify(screen, path, receipt, trust)


def _register(screen: Screen, ledger: fc.Ledger) -> dict[str, fc.Key]:
    keys = {}
    for party in PARTIES:
        keys[party.id] = fc.Key.generate()
        ledger.register(party.id, party.name, roles=party.roles, key=keys[party.id])
    parties = "\n".join(f"  {party.id.ljust(8)} {party.name} ({', '.join(party.roles)})" for party in PARTIES)
    screen.show(
        {"ledger": ledger.name, "parties": [party.id for party in PARTIES]},
        f"A ledger is founded, {START}: {ledger.name[:40]}…\n{parties}\n",
    )
    return keys


def _tell(screen: Screen, ledger: fc.Ledger, number: int, step: Step, keys: dict[str, fc.Key]) -> None:
    """Takes one step, and compares what the ledger shows with what the deal says."""
    outcome, refusal = "applied", None
    try:
        ledger.submit(step.instructions, by=[keys[party] for party in step.by])
    except fc.Refused as error:
        outcome, refusal = error.code, error
    if outcome != step.expect:
        raise FinchainError(f"step {number}, {step.title}: {outcome} instead of {step.expect}") from refusal
    figures = [_figure(ledger, figure) for figure in step.figures]
    told: dict[str, Any] = {
        "step": number, "day": step.day, "title": step.title, "by": step.by, "outcome": outcome, "figures": figures,
    }  # fmt: skip
    lines = [f"{number:>2}  {step.day}  {step.title}  ({', '.join(step.by)})", f"    {step.says}"]
    lines += [
        f"      {each['record']}: {each['member']} {figure.text}"
        for each, figure in zip(figures, step.figures, strict=True)
    ]
    if refusal is not None:
        told["refusal"] = {"message": refusal.message, "advice": refusal.advice, "facts": refusal.facts}
        lines += [f"    | {line}" for line in refused_text(refusal).splitlines()]
    screen.show(told, "\n".join(lines))


def _figure(ledger: fc.Ledger, figure: Figure) -> dict[str, Any]:
    shown = getattr(ledger.get(figure.kind, figure.id), figure.member)
    if shown != figure.expected:
        raise FinchainError(f"{figure.kind.kind} {figure.id} {figure.member} is {shown}, not {figure.expected}")
    member = figure.member.removesuffix("_minor").replace("_", " ")
    return {"record": f"{figure.kind.kind} {figure.id}", "member": member, "shows": shown}


def _cash(screen: Screen) -> None:
    """What each has received less what it has paid: the last figures of the deal have compared them."""
    rows = "\n".join(f"  {holder.ljust(22)} {yuan(amount):>16}" for holder, amount in NET_CASH.items())
    screen.show({"net_cash_minor": dict(NET_CASH)}, f"\nWhat each has received less what it has paid, CNY\n{rows}")


def _verify(screen: Screen, path: Path, receipt: Path, trust: str) -> None:
    """What somebody sees who has the receipt and the verifier key, and what an auditor sees who has the blocks."""
    verified = fc.verify(receipt, trust=trust, unwitnessed=True)
    screen.show(
        {"verified": msgspec.to_builtins(verified)},
        f"\nA receipt of {receipt.stat().st_size:,} bytes, verified without the ledger\n  {verified}",
    )
    audit = fc.check(path)
    screen.show({"audit": msgspec.to_builtins(audit)}, f"\nAll blocks verified again\n  {audit}")
