"""The work that is measured: receivables claimed by shops and confirmed by buyers, each signed by its own party.

Keys come from fixed seeds and everything is signed before the clock starts, so that what is measured is the
ledger. A ledger is made once as a template and copied, because its name, which every signature covers, comes from its
first block.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import finchain as fc
from finchain import instructions as do
from finchain.domain.rule import Instruction

ROWS = int(os.environ.get("FINCHAIN_BENCH_ROWS") or 20_000)
"""Instructions in one workload: some twenty blocks, a second or less, and short enough to repeat."""

BATCH_ROWS = 5 * ROWS
"""Instructions in a workload of batches: they are quicker, and several chunks must be on their way at once."""

PARTIES = 32
"""Signers, half of them shops and half buyers: few enough that a batch of signatures sees each key often."""

BATCH = 1_000
"""Instructions under one signature in a night batch."""

START = date(2026, 3, 2)
DUE = date(2026, 8, 31)
AMOUNT_MINOR = 1_250_000
SEED = 20_260_302


def key_of(name: str) -> fc.Key:
    """The key of a party: its name, padded, is the seed."""
    return fc.Key.from_seed(name.encode().ljust(32, b"."))


def shop(number: int, parties: int = PARTIES) -> str:
    """The shop of a row."""
    return f"shop-{number % (parties // 2)}"


def buyer(number: int, parties: int = PARTIES) -> str:
    """The buyer of a row."""
    return f"buyer-{number % (parties // 2)}"


def found(folder: Path, parties: int = PARTIES) -> Path:
    """Makes a template: `folder/ledger` and `folder/keys`, with half of the parties shops and half buyers."""
    with fc.create(
        folder / "ledger", name="bench.example/ledger", keys=folder / "keys", operator=key_of("operator"),
        clock=fc.SimulatedClock(START),
    ) as ledger:  # fmt: skip
        for number in range(parties // 2):
            ledger.register(f"shop-{number}", f"Shop {number}", roles=["supplier"], key=key_of(f"shop-{number}"))
            ledger.register(f"buyer-{number}", f"Buyer {number}", roles=["debtor"], key=key_of(f"buyer-{number}"))
    return folder


def copied(template: Path, target: Path) -> fc.Ledger:
    """A fresh copy of a template, open for writing."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(template, target)
    return opened(target)


def opened(folder: Path) -> fc.Ledger:
    """A ledger with its key folder beside it, open for writing."""
    return fc.open(folder / "ledger", keys=folder / "keys", operator=key_of("operator"))


def claim(number: int, pair: int, parties: int = PARTIES) -> Instruction:
    """The shop of a pair claims a receivable from the buyer of the pair."""
    return do.SubmitReceivable(
        f"R-{number}", creditor=shop(pair, parties), debtor=buyer(pair, parties), amount_minor=AMOUNT_MINOR,
        currency="CNY", due=DUE, invoice=f"INV-{number:012}",
    )  # fmt: skip


def confirmation(number: int) -> Instruction:
    """The buyer confirms it in full."""
    return do.ConfirmReceivable(f"R-{number}", amount_minor=AMOUNT_MINOR)


class Signer:
    """Signs for any of the parties, and counts each one's sequences."""

    def __init__(self, ledger: fc.Ledger, lane: str = "bench") -> None:
        self.name = ledger.name
        self.lane = lane
        self.expires_ms = ledger.clock.now_ms() + 7 * 24 * 3_600_000
        self.sequences: dict[str, int] = {}

    def signed(self, party: str, instructions: Sequence[Instruction], key: fc.Key | None = None) -> bytes:
        """One transaction of one party, as it is sent; signed with another key than the party's where one is given."""
        sequence = self.sequences[party] = self.sequences.get(party, 0) + 1
        transaction = fc.Transaction.build(
            instructions, by=[party], ledger=self.name, lane=self.lane, sequence=sequence, expires_ms=self.expires_ms,
            mode="all" if len(instructions) == 1 else "each",
        )  # fmt: skip
        return transaction.sign(key or key_of(party), f"{party}/1").to_bytes()


def singles(ledger: fc.Ledger, rows: int = ROWS, parties: int = PARTIES) -> list[bytes]:
    """One instruction a transaction: the first half of the rows are claims, the second confirms them."""
    signer = Signer(ledger)
    claims = [signer.signed(shop(n, parties), [claim(n, n, parties)]) for n in range(rows // 2)]
    return claims + [signer.signed(buyer(n, parties), [confirmation(n)]) for n in range(rows // 2)]


def among_forged(ledger: fc.Ledger, texts: Sequence[bytes], parties: int = PARTIES) -> list[bytes]:
    """The same, and one more for each hundred: of any party, in a lane of its own, signed by somebody else's key."""
    signer, draw, forger = Signer(ledger, "forged"), random.Random(SEED), key_of("forger")
    found = list(texts)
    for number in range(len(texts) // 100):
        party = draw.choice((shop, buyer))(draw.randrange(parties), parties)
        text = signer.signed(party, [claim(len(texts) + number, number, parties)], forger)
        found.insert(draw.randrange(len(found)), text)
    return found


def batches(ledger: fc.Ledger, rows: int = BATCH_ROWS) -> list[bytes]:
    """A thousand instructions under one signature; a shop's claims first, then its buyer's confirmations."""
    signer = Signer(ledger)
    size = min(BATCH, rows // 2)
    texts = []
    for group in _groups(rows // 2, size):
        number = group[0] // size
        texts.append(signer.signed(shop(number), [claim(n, number) for n in group]))
    for group in _groups(rows // 2, size):
        texts.append(signer.signed(buyer(group[0] // size), [confirmation(n) for n in group]))
    return texts


def _groups(rows: int, size: int) -> Iterator[range]:
    for start in range(0, rows, size):
        yield range(start, min(start + size, rows))


def ingested(ledger: fc.Ledger, texts: Sequence[bytes], forged: int = 0) -> int:
    """Submits everything and insists that all but the forged ones were applied; gives the number of those that were."""
    count = rejected = 0
    for outcome in ledger.submit_all(texts):
        if outcome.status == "applied":
            count += 1
        elif outcome.status == "rejected" and rejected < forged:
            rejected += 1
        else:
            raise AssertionError(f"a workload is not applied: {outcome}")
    if rejected < forged:
        raise AssertionError(f"{forged - rejected} forged transactions were applied")
    return count


def signatures(count: int, keys: int) -> list[tuple[bytes, bytes, bytes]]:
    """Public key, signature and message of `count` messages of 300 bytes by `keys` signers in turn."""
    signers = [key_of(f"signer-{number}") for number in range(keys)]
    messages = [f"{number:0>300}".encode() for number in range(count)]
    public = [signer.public_key for signer in signers]
    return [(public[n % keys], signers[n % keys].sign(m), m) for n, m in enumerate(messages)]
