"""A witness as C2SP tlog-witness has it, small enough to read: it remembers one size and root of a log, and cosigns
only what goes on from there. Its consistency proofs are written from RFC 9162 section 2.1.4, apart from the library.
"""

from __future__ import annotations

import reference as ref


class Inconsistent(Exception):
    """A log shows another history than before."""


class Witness:
    """One witness of one log.

    Args:
        name: Its name, from which its key is made.
        post_quantum: Its key is of suite ml-dsa-44, not ed25519.
    """

    def __init__(self, name: str, *, post_quantum: bool = False) -> None:
        self.name, self.post_quantum = name, post_quantum
        self.seed = ref.digest("sha256", "salt", name.encode())
        self.verifier_key = (
            ref.post_quantum_verifier_key(name, self.seed)
            if post_quantum
            else ref.verifier_key(name, ref.public_key(self.seed), 4)
        )
        self.size = 0
        self.root_hash = b""

    def cosign(self, note: bytes, headers: list[bytes]) -> bytes:
        """Cosigns a checkpoint; the log shows by its headers that it goes on from what was cosigned before."""
        body = note.decode().partition("\n\n")[0] + "\n"
        _, lines, root_text = body.splitlines()
        size, leaves = int(lines), [ref.log_leaf(header) for header in headers]
        if self.size == 0:
            old, new = b"", ref.tree(ref.log_node, leaves[:size])
        elif size < self.size:
            raise Inconsistent(f"size {size} is less than {self.size}")
        elif size == self.size:
            old = new = self.root_hash
        else:
            old, new = roots(consistency(leaves[:size], self.size), self.size, size, self.root_hash)
        if (old, ref.base64_text(new)) != (self.root_hash, root_text):
            raise Inconsistent(f"size {size} does not go on from what was cosigned over {self.size} blocks")
        self.size, self.root_hash = size, new
        line = ref.post_quantum_line if self.post_quantum else ref.cosignature_line
        return note + line(self.name, self.seed, body, 1_774_000_000).encode()


def consistency(leaves: list[bytes], older: int, *, is_root: bool = True) -> list[bytes]:
    """The proof of section 2.1.4.1 from the first `older` leaves to all of them."""
    if older == len(leaves):
        return [] if is_root else [ref.tree(ref.log_node, leaves)]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:half], leaves[half:]
    if older <= half:
        return [*consistency(left, older, is_root=is_root), ref.tree(ref.log_node, right)]
    return [*consistency(right, older - half, is_root=False), ref.tree(ref.log_node, left)]


def roots(proven: list[bytes], older: int, newer: int, older_root: bytes) -> tuple[bytes, bytes]:
    """Section 2.1.4.2: the older and the newer root that a proof leads to, `0 < older < newer`."""
    way = [older_root, *proven] if older & (older - 1) == 0 else proven
    first, second = older - 1, newer - 1
    while first & 1:
        first, second = first >> 1, second >> 1
    old = new = way[0]
    for sibling in way[1:]:
        if first & 1 or first == second:
            old, new = ref.log_node(sibling, old), ref.log_node(sibling, new)
            while first and not first & 1:
                first, second = first >> 1, second >> 1
        else:
            new = ref.log_node(new, sibling)
        first, second = first >> 1, second >> 1
    return old, new
