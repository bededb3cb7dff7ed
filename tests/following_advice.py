"""Follows the advice of a refusal as its reader would: by the sentence alone, with no look at the rule that refused.

`FORMS` are the sentences that can be followed without knowing the business: a number, a day, a signature, another id. A
followed order is applied, or refused elsewhere for something else; where the advice says that none is possible, the
ends of what the member could hold are refused too. Advice to let somebody do something first is followed by stories.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from book import MemoryBook, digest
from finchain.domain.arithmetic import Rate
from finchain.domain.party import Party, SetRoles
from finchain.domain.rule import NONE, RECORDS, Absent, Instruction, located
from finchain.errors import Refused
from finchain.money import AMOUNT_MAX_MINOR

UNKNOWN = "‹›"
"""Stands in a sentence for what is only known when it is said."""


class Trial(NamedTuple):
    """An order, who signs it, for whom only a machine does, on which day it is sent, and what is ordered before it."""

    what: Instruction
    by: frozenset[str]
    service: frozenset[str]
    today: date
    first: tuple[Instruction, ...] = ()


class Refusal(NamedTuple):
    """What a trial met: the refusal, and the file and line of the rule that raised it."""

    error: Refused
    site: tuple[str, int]

    @property
    def about(self) -> tuple[tuple[str, int], str, str]:
        """What has to be another after the advice was followed."""
        of = self.error.value if self.error.field != "by" else self.error.message
        return self.site, self.error.field, str(of)


def tried(ledger: MemoryBook, trial: Trial) -> Refusal | None:
    """What a ledger like this one says to an order; nothing where it applies it."""
    copy = ledger.copy()
    copy.today = trial.today
    try:
        for each in trial.first:
            copy.apply(each, by={"registrar", "operator"})
        copy.apply(trial.what, by=trial.by, service=trial.service)
    except Refused as error:
        return Refusal(located(error, trial.what, 0), _site(error))
    return None


def _site(error: Refused) -> tuple[str, int]:
    """Where the rule called `refuse`."""
    places, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if Path(code.co_filename).parent.name == "domain" and code.co_name != "refuse":
            places.append((Path(code.co_filename).stem, trace.tb_lineno))
        trace = trace.tb_next
    return places[-1]


Follow = Callable[[Trial, Refused, "re.Match[str]", MemoryBook], Iterable[Trial]]


def following(ledger: MemoryBook, trial: Trial, error: Refused) -> list[Trial]:
    """The orders that the advice names; none where only a person can follow it."""
    for sentence, follow in FORMS.items():
        if found := re.match(sentence, error.advice):
            return list(follow(trial, error, found, ledger))
    return []


STEPS_MAX = 6
"""So often may advice lead to the next refusal: an order may be wrong in several members, and lack signatures."""


def followed(ledger: MemoryBook, trial: Trial) -> str:
    """Follows advice from refusal to refusal, and says how it ended.

    Raises:
        AssertionError: What was advised is refused for what it should have mended, or something is possible that was
            said not to be.
    """
    refusal, seen, chosen = tried(ledger, trial), set(), False
    for _ in range(STEPS_MAX):
        if refusal is None:
            return "applied"
        if chosen and refusal.about in seen:
            return "many"
        assert refusal.about not in seen, f"its advice was followed: {refusal.error}"
        seen.add(refusal.about)
        if refusal.error.advice.startswith(NONE):
            for other in beyond_all(trial, refusal.error):
                assert tried(ledger, other) is not None, f"{other} was possible: {refusal.error}"
            return "none is possible"
        others = following(ledger, trial, refusal.error)
        chosen = chosen or is_a_choice(refusal.error.advice)
        if not others:
            return "an act first"
        for other in others[1:]:
            again = tried(ledger, other)
            assert again is None or again.site != refusal.site, f"{other} follows it: {refusal.error}"
        trial = others[0]
        refusal = tried(ledger, trial)
    return "many"


def is_a_choice(advice: str) -> bool:
    """Whether a sentence leaves open which party or record is named: the next rule may ask for yet another."""
    return any(re.match(sentence, advice) for sentence, follow in FORMS.items() if follow in CHOICES)


def is_known(advice: str) -> bool:
    """Whether a sentence, with `UNKNOWN` in it, is one that `following` reads, or says that no order is possible."""
    return advice.startswith(NONE) or any(re.match(sentence, advice) for sentence in FORMS)


def put(trial: Trial, field: str, value: Any, old: Any = None) -> list[Trial]:
    """The order with a member set, or with one thing in a list in place of another.

    Nothing where the order has no such member, because several make it up, or the member is of another form.
    """
    what = _with(trial.what, field.split("."), value, old)
    return [] if what is None else [trial._replace(what=what)]


def _with(struct: Any, path: list[str], value: Any, old: Any) -> Any:
    name, *rest = path
    if name not in getattr(struct, "__struct_fields__", ()):
        return None
    held = getattr(struct, name)
    if rest:
        inner = _with(held, rest, value, old)
    elif isinstance(held, list) and not isinstance(value, list):
        inner = [value if each == old else each for each in held] if old in held else None
    else:
        inner = value if type(held) in {type(value), msgspec.UnsetType} or value is Absent else None
    return None if inner is None else msgspec.structs.replace(struct, **{name: inner})


def set_all(trial: Trial, **members: Any) -> list[Trial]:
    """The order with several members set; nothing where it lacks one."""
    known = set(members) <= set(trial.what.__struct_fields__)
    return [trial._replace(what=msgspec.structs.replace(trial.what, **members))] if known else []


def beyond_all(trial: Trial, error: Refused) -> Iterator[Trial]:
    """The least and the most that the member at fault could hold."""
    if error.field.endswith("_minor"):
        for amount in (1, AMOUNT_MAX_MINOR):
            yield from put(trial, error.field, amount)
    elif error.field in DAYS:
        for day in (trial.today - timedelta(days=400), trial.today, trial.today + timedelta(days=4_000)):
            yield from put(trial, error.field, day)
    yield trial


DAYS = frozenset({"value_date", "until", "maturity", "due", "on", "since", "start", "end", "expected_on"})


# --- the forms
def _number(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    return [each for value in found.groups() if value for each in put(trial, error.field, int(value))]


def _at_most(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    assert int(found[1]) > 0, f"advice to state nothing: {error}"
    return put(trial, error.field, int(found[1]))


def _days(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    days = [date.fromisoformat(value) for value in found.groups() if value]
    assert days == sorted(days), f"a range that ends before it begins: {error}"
    return [each for day in days for each in put(trial, error.field, day)]


def _day_after(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    return put(trial, error.field, date.fromisoformat(found[1]) + timedelta(days=1))


def _day_before(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    return put(trial, error.field, date.fromisoformat(str(error.value)) - timedelta(days=1))


def _wait(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    day = date.fromisoformat(found[1])
    assert day > trial.today, f"advice to wait for a day that has come: {error}"
    return [trial._replace(today=day)]


def _start(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    day = date.fromisoformat(found[1])
    return set_all(trial, start=day, end=day)


def _loan_days(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    later = trial.today + timedelta(days=30)
    return set_all(trial, available_until=trial.today, maturity=later, prepayment_days=int(found[1]))


def _period(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    return set_all(trial, until=trial.today, period_end=trial.today + timedelta(days=1))


def _both(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    sums = ((1, 0), (0, int(found[1])))
    return [each for owed, reduced in sums for each in set_all(trial, owed_minor=owed, reduced_minor=reduced)]


def _shares(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    claims = getattr(trial.what, "claims", [])
    most = int(found[1])
    first = [msgspec.structs.replace(claims[0], amount_minor=most)] if claims else []
    return set_all(trial, amount_minor=most, claims=first)


def _entry(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    return set_all(trial, registration="entry 1", registered_ms=ledger.time_ms, description=digest("entry 1"))


def _sign(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    return [trial._replace(by=trial.by | {found[1]}, service=trial.service - {found[1]})]


def _state(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    return [each._replace(by=each.by | {found[1]}) for each in put(trial, error.field, found[1])]


def _sign_by_role(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    able = {party.id for party in ledger.all(Party) if found[1] in party.roles}
    return [trial._replace(by=trial.by | able, service=trial.service - able)]


def _sign_by_operator(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    return [trial._replace(by=trial.by | {"operator"})]


def _persons(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    return [trial._replace(by=trial.by | trial.service, service=frozenset())]


def _role(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    party = ledger.get(Party, str(error.value))
    given = SetRoles(party.id, [*party.roles, found[1]])  # type: ignore[list-item]  # the sentence has a role
    return [trial._replace(first=(*trial.first, given))]


def _out(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    return put(trial, error.field, Absent)


def _all_out(*members: str) -> Follow:
    return lambda trial, error, found, ledger: set_all(trial, **dict.fromkeys(members, Absent))


def _this(value: Any) -> Follow:
    return lambda trial, error, found, ledger: put(trial, error.field, value)


def _one_of(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    names = next(each for each in found.groups() if each)
    return [each for name in re.split(r" or |, ", names) for each in put(trial, error.field, name, error.value)]


def _each_once(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    held = list(dict.fromkeys(getattr(trial.what, error.field, ())))[: int(found[1])]
    return put(trial, error.field, held) if held else ()


def _another_party(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    return _some(trial, error, ledger, (party.id for party in ledger.all(Party)))


def _another_record(trial: Trial, error: Refused, found: re.Match[str], ledger: MemoryBook) -> Iterable[Trial]:
    """Of the kind of the record that was named, or that was not found."""
    named = {kind for kind, id in ledger.records if id == error.value} or {RECORDS[error.code.partition(".")[0]]}
    return _some(trial, error, ledger, (record.id for kind in named for record in ledger.all(kind)))


def _some(trial: Trial, error: Refused, ledger: MemoryBook, ids: Iterable[str]) -> Iterable[Trial]:
    """The first of those that are named by the sentence: of which it is not said again."""
    others = [other for id in ids for other in put(trial, error.field, id, error.value)]
    return next(([each] for each in others if (again := tried(ledger, each)) is None or again.site != _site(error)), [])


N, D, W = rf"(\d+|{UNKNOWN})", rf"(\d{{4}}-\d\d-\d\d|{UNKNOWN})", rf"([A-Za-z0-9_-]+|{UNKNOWN})"

FORMS: dict[str, Follow] = {
    rf"state a d(?:ate|ay) from {D} to {D}": _days,
    rf"state a date (?:up to|from) {D}(?: on)?$": _days,
    rf"state a day after {D}": _day_after,
    r"state an earlier date": _day_before,
    rf"state {D}(?:$|, which ends it at once)": _days,
    rf"submit what was invoiced as a claim, or state a day from {D} on": _days,
    rf"wait until {D}": _wait,
    rf"let it start on {D} or later": _start,
    r"let the period end after today, and the offer before it": _period,
    rf"order today, available_until, maturity; let notice be 0 to {N} days": _loan_days,
    rf"state {N} to {N}(?:$| minor units$|; )": _number,
    rf"issue up to {N}, with shares that sum to it": _shares,
    rf"state a Unix time in ms up to {N}": _number,
    rf"[a-z ]+ up to {N}(?:$|[;,] (?!each))": _at_most,
    rf"take the whole lot of {N}": _at_most,
    rf"(?:state|issue) {N}(?:$| or more|[,;] )": _number,
    rf"look at it, and state version {N}": _number,
    rf"state a number from {N} to": _number,
    rf"let both amounts sum to 1 to {N}": _both,
    rf"state {N} to {N}, not above the number of holders": _this(1),
    rf"let {W} sign(?: too)?$": _sign,
    rf"let {W}(?:, | or ).* (?:record the notice|state it)": _state,
    rf"let the {W} sign too, by a person$": _sign_by_role,
    r"let one of them sign|let owner, bank, a controller or the operator sign": _sign_by_operator,
    rf"let {N} of its holders sign": _persons,
    rf"a registrar can give it the role {W}": _role,
    r"leave it out": _out,
    r"leave part and notice out": _all_out("part", "notice"),
    r"name the arbiter and let it sign, or leave the award out": _all_out("arbiter", "award"),
    r"choose another|use 1 to \S+ characters of|state 1 to \S+ bytes of printable|state each bank entry once": _this(
        "new-1"
    ),
    r"state an ISO 4217 code": _this("CNY"),
    r"state the 64 lower-case hex digits|state (?:its SHA-256|the SHA-256 of)": _this(digest("followed")),
    r"state financing": _this("financing"),
    r"state a note": _this("a word why"),
    r"state principal, and what else": _this(["principal"]),
    r"state at least one role": _this(["supplier"]),
    r"state both or none": _all_out("calendar", "shift"),
    r"state a scale of 1 to \S+, and a rate from 0 on": _this(Rate(0, 1)),
    r"state another rate": _this(Rate(1, 7)),
    r"state whether the discount is for the days": _this(True),
    r"state number, time and description of the entry": _entry,
    rf"name (?:1 to|up to) {N}, each once": _each_once,
    r"name another|name a third party": _another_party,
    r"name (?:one that|an? |the contract )": _another_record,
    rf"name (?:it|one of|some of) {W}(?:, |$)|name {W}$": _one_of,
    rf"name it (\S+/\d+|{UNKNOWN}/{UNKNOWN})$": _one_of,
    rf"(?:pay|turn to|claim in) ((?:{W}(?: or )?)+)$": _one_of,
}

CHOICES = frozenset({_another_party, _another_record})
