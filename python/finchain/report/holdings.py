"""Who holds each unit of a certificate, and through whose hands it came there.

The story of a unit is read off a replay: whatever an instruction changed about the lot in which a unit lies, but where
that lot begins and ends, is a step of its units. So a split is no step, and what came before it is the story of both
parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Literal

import msgspec

from finchain.domain.certificate import Certificate, Encumbrance, Lot, Rank
from finchain.domain.recourse import CancelCertificate
from finchain.domain.rule import Absent, Instruction, Optional
from finchain.money import format_minor
from finchain.outcome import Change
from finchain.reading import Reading

State = Literal["live", "settled", "waived", "cancelled"]
"""`live`: owed; `settled`: paid by the debtor; `waived`: forgiven; `cancelled`: of a certificate that was refused, or
called off by all."""

What = Literal[
    "issued", "passed", "taken_over", "offered", "agreed", "offer_ended", "pledged", "released", "dishonoured",
    "demanded", "written_off", "settled", "waived", "cancelled", "changed",
]  # fmt: skip
"""What a step did. `passed`: to another holder, as the instruction says; `taken_over`: by a guarantor for its money;
`agreed`: a sale was accepted and waits for the money; `released`: from a pledge; `changed`: in a way of its own, by a
rule of another rulebook."""


class HoldingStep(msgspec.Struct, frozen=True):
    """One step of a unit's story.

    Attributes:
        height: The block, `entry` the transaction in it, and `index` the instruction in that.
        by: The parties that signed.
        source: Who held it before; absent at issue.
        holder: Who held it afterwards.
    """

    day: date
    height: int
    entry: int
    index: int
    by: tuple[str, ...]
    what: What
    holder: str
    order: str
    instruction: Instruction
    source: str | Optional = Absent

    def __str__(self) -> str:
        hands = self.holder if self.source in (Absent, self.holder) else f"{self.source} → {self.holder}"
        reference = getattr(self.instruction, "reference", "")
        said = f"{self.order} {reference}".rstrip()
        return (
            f"{self.day}  {self.what.replace('_', ' '):<11}  {hands:<24}  {said}, block {self.height}, "
            f"entry {self.entry}"
        )


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """Units of a certificate that lie beside each other and have one story.

    Of units that are not live any more the members say what was true when they were paid, forgiven or cancelled.

    Attributes:
        lot: Id of the lot that they lie in.
        amount_minor: How many there are, from `first` to `last`.
        to: Who has a pledge on them, or an offer of them.
        loan: Id of the loan that they secure.
        recourse: Those who answer for the debtor towards the holder, the earliest first.
        guarantee: Id of the guarantee under which a guarantor took them over.
        steps: From issue to now.
    """

    certificate: str
    lot: str
    first: int
    last: int
    amount_minor: int
    currency: str
    state: State
    holder: str
    encumbrance: Encumbrance
    rank: Rank
    recourse: tuple[str, ...]
    to: str | Optional = Absent
    loan: str | Optional = Absent
    guarantee: str | Optional = Absent
    steps: tuple[HoldingStep, ...]

    def __str__(self) -> str:
        amount = format_minor(self.amount_minor, self.currency)
        parts = [
            f"{self.certificate} [{self.first}..{self.last}] of {self.holder}: {amount} {self.currency}",
            self.state,
        ]
        if self.encumbrance != "none":
            parts.append(f"{self.encumbrance} to {self.to}" + ("" if self.loan is Absent else f" for {self.loan}"))
        if self.rank != "none":
            parts.append(self.rank)
        if self.guarantee is not Absent:
            parts.append(f"under {self.guarantee}")
        parts.append(f"recourse to {', '.join(self.recourse)}" if self.recourse else "without recourse")
        return "\n    ".join([", ".join(parts), *map(str, self.steps)])


def holdings(ledger: Reading, certificate: str) -> list[Holding]:
    """The units of a certificate, from 1 to its amount, in intervals with the story of each; replays the ledger.

    Raises:
        NotFound: There is no such certificate.
    """
    currency = ledger.get(Certificate, certificate).currency
    return holdings_of(certificate, currency, ledger.changes(), ledger.today)


def holdings_of(certificate: str, currency: str, changes: Iterable[Change], today: date) -> list[Holding]:
    """The holdings of a certificate after some changes, which begin before it was issued.

    Args:
        certificate: Its id.
        currency: Its currency.
        changes: What was done, in order.
        today: The day on which an offer may have ended.
    """
    live: dict[str, _Piece] = {}
    ended: list[_Piece] = []
    for change in changes:
        lots = [pair for pair in change.of(Lot) if pair[1].certificate == certificate]
        if lots:
            before = {lot.id: live.pop(lot.id) for lot, _ in lots if lot is not None and lot.id in live}
            for piece in _after(before, change, lots):
                if piece.state == "live":
                    live[piece.lot.id] = piece
                else:
                    ended.append(piece)
    pieces = sorted((*live.values(), *ended), key=lambda piece: piece.first)
    return [_holding(piece, currency, today) for piece in pieces]


class _Piece(msgspec.Struct, frozen=True):
    """Units with one story, and their lot as the last step left it or, where they ended, as it was before that.

    Lots are cut and never joined, so that all live units of a lot are one piece.
    """

    first: int
    last: int
    state: State
    lot: Lot
    steps: tuple[HoldingStep, ...]


def _after(before: Mapping[str, _Piece], change: Change, lots: list[tuple[Lot | None, Lot]]) -> Iterator[_Piece]:
    """What an instruction made of the live pieces of the lots that it wrote."""
    for was, lot in lots:
        if was is not None:
            base = before.get(was.id)
        else:
            base = next((piece for piece in before.values() if piece.first <= lot.start <= piece.last), None)
            if base is None:
                # The first lot of a certificate is all of it; whatever comes later is cut out of another.
                yield _Piece(lot.first, lot.last, "live", lot, (_step(change, None, lot, "live"),))
        if base is not None:
            yield from _gone_on(base, change, lot)


def _gone_on(base: _Piece, change: Change, lot: Lot) -> Iterator[_Piece]:
    """Units of a live piece after an instruction, with a step for those for which it changed anything."""
    settled_to = lot.first - 1 - lot.waived_minor
    refused = lot.last < lot.start
    forgiven: State = "cancelled" if isinstance(change.instruction, CancelCertificate) else "waived"
    ranges: tuple[tuple[State, int, int], ...] = (
        ("settled", max(base.first, lot.start), settled_to),
        (forgiven, max(base.first, settled_to + 1), lot.first - 1),
        ("live", max(base.first, lot.first), lot.last),
        ("cancelled", base.first, base.last if refused else 0),
    )
    for state, first, last in ranges:
        if first > last:
            continue
        if state == "live" and _shown(lot, change.day) == _shown(base.lot, change.day):
            yield _Piece(first, last, state, lot, base.steps)
            continue
        step = _step(change, base.lot, lot, state)
        held = lot if state == "live" else msgspec.structs.replace(base.lot, id=lot.id)
        yield _Piece(first, last, state, held, (*base.steps, step))


def _shown(lot: Lot, day: date) -> tuple[object, ...]:
    """What is true of each live unit of a lot: all but where it begins and ends, and what was paid for other units."""
    return (
        lot.holder, lot.hop, lot.rank, lot.source, lot.recourse, lot.guarantee, lot.written_off, lot.pledge,
        lot.offer if lot.encumbrance(day) == "reserved" else Absent, _demanded(lot),
    )  # fmt: skip


def _demanded(lot: Lot) -> tuple[object, ...]:
    """What its beneficiary did to be paid by guarantors."""
    return tuple(sorted((call.guarantee, call.demanded_minor, str(call.sued)) for call in lot.calls))


def _step(change: Change, before: Lot | None, after: Lot, state: State) -> HoldingStep:
    return HoldingStep(
        day=change.day, height=change.height, entry=change.entry, index=change.index, by=change.by,
        what="issued" if before is None else _what(before, after, state),
        holder=after.holder if before is None or state == "live" else before.holder, order=change.order,
        instruction=change.instruction, source=Absent if before is None else before.holder,
    )  # fmt: skip


def _what(before: Lot, after: Lot, state: State) -> What:
    """What an instruction did to units, by the most that it changed about their lot."""
    if state != "live":
        return state
    if after.holder != before.holder or after.hop != before.hop:
        return "taken_over" if after.guarantee != before.guarantee else "passed"
    if after.pledge != before.pledge:
        return "pledged" if after.pledge is not Absent else "released"
    if after.rank != before.rank:
        return "dishonoured"
    if _demanded(after) != _demanded(before):
        return "demanded"
    if after.written_off != before.written_off:
        return "written_off"
    if after.offer != before.offer:
        if after.offer is Absent:
            return "offer_ended"
        return "offered" if after.offer.accepted is Absent else "agreed"
    return "changed"


def _holding(piece: _Piece, currency: str, today: date) -> Holding:
    lot = piece.lot
    # What ended is shown as it was that day, whether or not an offer would have ended since.
    encumbrance = lot.encumbrance(today if piece.state == "live" else piece.steps[-1].day)
    to: str | Optional = Absent
    if encumbrance == "reserved" and lot.offer is not Absent:
        to = lot.offer.to
    return Holding(
        certificate=lot.certificate, lot=lot.id, first=piece.first, last=piece.last,
        amount_minor=piece.last - piece.first + 1, currency=currency, state=piece.state, holder=lot.holder,
        encumbrance=encumbrance, to=to if lot.pledge is Absent else lot.pledge.to,
        loan=Absent if lot.pledge is Absent else lot.pledge.loan, rank=lot.rank, recourse=lot.recourse,
        guarantee=lot.guarantee, steps=piece.steps,
    )  # fmt: skip
