"""A real ledger that was closed, and what a disk may do to its files: bytes spoilt, blocks exchanged, marks lost."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import reference as ref
from finchain.key_folder import KeyFolder
from real_ledger import claim, found, key, shape

PAGE = 4_096


@dataclass(frozen=True)
class Kept:
    """A ledger that was closed: three blocks of parties, then claims r-1 to r-3 in a block each."""

    home: Path
    shape: tuple[int, bytes, str]

    @property
    def folder(self) -> Path:
        return self.home / "real.finchain"

    @property
    def blocks(self) -> Path:
        return self.folder / "blocks" / "00000000.blk"

    @property
    def index(self) -> Path:
        return self.folder / "index"

    @property
    def changes(self) -> Path:
        return self.folder / "changes"

    def forget(self) -> None:
        """Removes what shows that blocks were acknowledged."""
        shutil.rmtree(self.index)
        KeyFolder.of(self.home / "keys", self.folder).mark_path.unlink(missing_ok=True)

    def frames(self) -> list[tuple[int, int]]:
        """Offset and bytes of each frame, its padding not counted."""
        return frames_in(self.blocks)

    def payload(self, height: int) -> bytes:
        """The lines of a block."""
        start, size = self.frames()[height]
        return self.blocks.read_bytes()[start + 64 : start + size]

    def rewrite(self, height: int, payload: bytes) -> None:
        """Puts another payload in the place of a block's, under sums that hold; it must take no more pages."""
        start, _ = self.frames()[height]
        self.spoil(start, ref.frame(height, self.block_zero, payload))

    @property
    def block_zero(self) -> bytes:
        """Hash of block 0."""
        return ref.log_leaf(self.payload(0).partition(b"\n")[0])

    def spoil(self, at: int, new: bytes) -> None:
        with self.blocks.open("r+b") as file:
            file.seek(at)
            file.write(new)


def frames_in(blocks: Path) -> list[tuple[int, int]]:
    """Offset and bytes of each frame of a block file up to the first bad head, padding not counted."""
    content, at, found = blocks.read_bytes(), 0, []
    while content[at : at + 4] == b"FCB\x01":
        size = 64 + int.from_bytes(content[at + 4 : at + 8], "little")
        found.append((at, size))
        at += -(-size // PAGE) * PAGE
    return found


def kept_in(home: Path) -> Kept:
    with found(home) as ledger:
        for n in (1, 2, 3):
            ledger.submit(claim(f"r-{n}"), by=key("shop"))
        return Kept(home, shape(ledger))
