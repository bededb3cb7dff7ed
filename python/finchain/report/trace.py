"""An amount from end to end: what a claim was made into, what that secured, whom the money reached, and who paid it.

Money goes through a controlled account first in, first out, by order of settlement (FIFO): what comes back
joins the end with the origin that it had, and of a payment that comes back in part the earliest money does first.

A trace ends at the first payee. It shows diversion there; where the money goes after that no account of this ledger
sees.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import groupby

import msgspec

from finchain.domain.account import Account
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.loan import Loan
from finchain.domain.part import Part
from finchain.domain.payment import Payment
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent, Record
from finchain.domain.totals import Check, Row
from finchain.errors import ConfigError, NotFound
from finchain.money import format_minor
from finchain.outcome import Change
from finchain.reading import Reading
from finchain.report.flows import AccountOf, Flow, Node, flow, money_of, party
from finchain.report.scope import Scope, Start, owner, scope_of

KINDS: tuple[type[Start], ...] = (Receivable, Certificate, Loan, Payment)
"""The types of what a trace can begin with."""

Parts = deque[tuple[Node, int]]
"""Money in the order in which it came, each amount with its origin."""

Sums = dict[Node, int]
"""What nodes gave or got in all."""


class Use(msgspec.Struct, frozen=True):
    """Where money is that came onto a controlled account.

    Attributes:
        origin: Whence it came: a draw, or a lot or part whose money a loan did not take.
        holder: The payee that has it, the account where it still is, or the draw with which it was taken back.
    """

    origin: Node
    holder: Node
    amount_minor: int


class Trace(msgspec.Struct, frozen=True):
    """What became of an amount.

    Attributes:
        start: What was asked for.
        rights: Claims into certificates or parts, certificates into lots as they are cut now, lots pledged for loans.
        money: What was paid, in order. Every certificate, guarantee, lot, draw, loan, account and payment of the trace
            gives on all that it gets, but for what is still on the account.
        uses: Where the money of each draw is; none of a single payment.
        checks: That invariant for each of them, that all of each draw is somewhere, and that the sums are those of the
            records.
    """

    start: Node
    currency: str
    rights: tuple[Flow, ...]
    money: tuple[Flow, ...]
    uses: tuple[Use, ...]
    checks: tuple[Check, ...]

    @property
    def balanced(self) -> bool:
        """Whether every sum is as it should be."""
        return all(check.balanced for check in self.checks)

    def __str__(self) -> str:
        lines = [f"{self.start}, {self.currency}"]
        for title, flows in (("rights", self.rights), ("money", self.money)):
            lines += [f"  {title}"] if flows else []
            for _, group in groupby(flows, key=lambda each: (each.height, each.entry, each.index)):
                lines += self._told(list(group))
        lines += ["  where it is"] if self.uses else []
        lines += [f"    {self._amount(use.amount_minor)}  {use.origin} → {use.holder}" for use in self.uses]
        lines.append("  sums")
        for check in self.checks:
            sides = f"{self._amount(check.left_minor)} {self._amount(check.right_minor)}"
            lines.append(f"  {'=' if check.balanced else '≠'} {sides}  {check.number:<4} {check.says}")
        return "\n".join(lines)

    def _amount(self, amount_minor: int) -> str:
        return f"{format_minor(amount_minor, self.currency):>18}"

    def _told(self, flows: list[Flow]) -> Iterator[str]:
        """What one instruction moved."""
        first = flows[0]
        reference = "" if first.reference is Absent else f" {first.reference}"
        yield f"    {first.day}  {first.order}{reference}, block {first.height}, entry {first.entry}"
        for each in flows:
            origin = "" if each.origin is Absent else f"  out of {each.origin}"
            yield f"    {self._amount(each.amount_minor)}  {each.source} → {each.target}{origin}"


def trace(ledger: Reading, id: str, kind: type[Record] | None = None) -> Trace:
    """Follows a receivable, a certificate, a loan or a payment; replays the ledger.

    Args:
        ledger: An open ledger.
        id: Id of the record.
        kind: Its type, one of `KINDS`; needed where several have the id.

    Raises:
        NotFound: There is no such record.
        ConfigError: There are several.
    """
    found = [record for each in KINDS if kind in (None, each) and (record := ledger.look(each, id)) is not None]
    names = ", ".join(each.kind for each in KINDS)
    if not found:
        raise NotFound(f"there is no {names if kind is None else kind.kind} {id!r}", advice=f"name one of {names}")
    if len(found) > 1:
        raise ConfigError(f"{id!r} is {' and '.join(each.kind for each in found)}", advice="say of which kind it is")
    return trace_of(scope_of(ledger, found[0]), ledger.changes(), lambda loan: ledger.get(Loan, loan).account)


def trace_of(scope: Scope, changes: Iterable[Change], account_of: AccountOf) -> Trace:
    """The trace of a scope over all changes of a ledger, in their order."""
    tracer = _Tracer(scope)
    for change in changes:
        if any(scope.follows(record.kind, record.id) for _, record in change.records):
            tracer.take(change, account_of)
    rights = [each for each in (*tracer.rights, *tracer.lots.values()) if each.amount_minor]
    rights.sort(key=lambda each: (each.height, each.entry, each.index))
    money, start = tracer.money, Node(scope.start.kind, scope.start.id)
    if isinstance(scope.start, Payment):
        money = _of_payment(money, start)
        rights = _of_loans(rights, {owner(each.source.id) for each in money if each.source.kind == "draw"})
        draws = {each.target for each in money if each.target.kind == "draw"}
        uses, checks = [], _passed_on(money, {start, *draws}, {})
    else:
        uses = _uses(money, tracer.accounts)
        owned = {node for each in money for node in (each.source, each.target) if tracer.owns(node)}
        checks = [*_spent(money, uses), *_passed_on(money, owned, tracer.records)]
        checks += [check for node, record in tracer.records.items() for check in _recorded(node, record, rights, money)
                   if tracer.owns(node)]  # fmt: skip
    return Trace(start, scope.currency, tuple(rights), tuple(money), tuple(uses), tuple(checks))


def _of_payment(money: list[Flow], payment: Node) -> list[Flow]:
    """What one payment was made of, and what came of it."""
    origins = {each.origin for each in money if payment in (each.source, each.target)}
    return [
        each
        for each in money
        if payment in (each.source, each.target)
        or each.target in origins
        or (each.source in origins and (each.source.kind == "draw" or each.target.kind == "account"))
    ]


def _of_loans(rights: list[Flow], loans: set[str]) -> list[Flow]:
    """What was pledged for some loans, and what that was made of."""
    lots = {each.source for each in rights if each.target.kind == "loan" and each.target.id in loans}
    certificates = {each.source for each in rights if each.target in lots}
    return [
        each
        for each in rights
        if each.target in lots | certificates or (each.source in lots and each.target.id in loans)
    ]


class _Tracer:
    """Takes change after change of what belongs to a trace.

    Attributes:
        rights: Shares of claims in certificates, and pledges.
        lots: The certificates' lots by their ids, each as it came to be and with the units that it has now.
        money: What was paid.
        records: The records, as they are after the last change.
        accounts: What is on each account, by its origin.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.rights: list[Flow] = []
        self.lots: dict[str, Flow] = {}
        self.money: list[Flow] = []
        self.records: dict[Node, Record] = {}
        self.accounts: dict[str, Parts] = defaultdict(deque)
        self._payments: dict[str, Parts] = defaultdict(deque)
        self._within: set[Node] = set()
        self._moving: Parts = deque()

    def take(self, change: Change, account_of: AccountOf) -> None:
        """Takes what an instruction did."""
        for _, record in change.records:
            if self.scope.follows(record.kind, record.id):
                self.records[Node(record.kind, record.id)] = record
        self._take_claims(change)
        self._take_parts(change)
        self._take_lots(change)
        for each in money_of(change, account_of):
            if self.owns(each.source) or self.owns(each.target):
                self.money += self._with_origins(each)

    def _take_claims(self, change: Change) -> None:
        for before, certificate in change.of(Certificate):
            if not self.scope.follows(certificate.kind, certificate.id):
                continue
            node = Node(certificate.kind, certificate.id)
            if before is None:
                for share in certificate.claims:
                    claim = Node("receivable", share.receivable)
                    self.rights.append(flow(change, claim, node, share.amount_minor))
            elif certificate.status == "cancelled" != before.status:
                for was, freed in change.of(Receivable):
                    amount = 0 if was is None else freed.free - was.free
                    self.rights.append(flow(change, node, Node(freed.kind, freed.id), amount))

    def _take_parts(self, change: Change) -> None:
        for before, part in change.of(Part):
            node, claim = Node(part.kind, part.id), Node("receivable", part.receivable)
            if before is None and (self.owns(claim) or self.scope.follows(part.kind, part.id)):
                self.rights.append(flow(change, claim, node, part.face_minor))
                if self.owns(claim):
                    self._within.add(node)
            loan = "" if part.loan is Absent else part.loan
            if before is not None and before.loan is Absent and self.scope.owns("loan", loan):
                self.rights.append(flow(change, node, Node("loan", loan), part.amount_minor))

    def _take_lots(self, change: Change) -> None:
        for before, lot in change.of(Lot):
            node = Node(lot.kind, lot.id)
            secures = lot.pledge is not Absent and self.scope.owns("loan", lot.pledge.loan)
            if before is None and (secures or self.scope.follows(lot.kind, lot.id)):
                self.lots[lot.id] = flow(change, Node("certificate", lot.certificate), node, 0)
            if lot.id in self.lots:
                # What it is later cut into is lots of their own.
                units = max(0, lot.last - lot.start + 1)
                self.lots[lot.id] = msgspec.structs.replace(self.lots[lot.id], amount_minor=units)
            if secures and before is not None and before.pledge is Absent and lot.pledge is not Absent:
                self.rights.append(flow(change, node, Node("loan", lot.pledge.loan), lot.live_minor))

    def owns(self, node: Node) -> bool:
        """Whether all the money of a node is in the trace."""
        return node in self._within or self.scope.owns(node.kind, node.id)

    def _with_origins(self, each: Flow) -> Iterator[Flow]:
        """A flow, or one for each origin of what left a controlled account or came back to it."""
        match each.source.kind, each.target.kind:
            case "account", "payment":
                self._within.add(each.target)
                self._moving = _taken(self.accounts[each.source.id], each.amount_minor, each.source)
                self._payments[each.target.id].extend(self._moving)
            case "account", "draw":
                # A draw that was not paid out takes its own money off first.
                there = self.accounts[each.source.id]
                self.accounts[each.source.id] = deque(sorted(there, key=lambda part: part[0] != each.target))
                self._moving = _taken(self.accounts[each.source.id], each.amount_minor, each.source)
            case "payee", "payment":
                self._moving = _taken(self._payments[each.target.id], each.amount_minor, each.source)
            case "payment", "account":
                self.accounts[each.target.id].extend(self._moving)
            case "payment", "payee":
                pass
            case _:
                if each.target.kind == "account":
                    self.accounts[each.target.id].append((each.source, each.amount_minor))
                yield each
                return
        for origin, amount in self._moving:
            yield msgspec.structs.replace(each, amount_minor=amount, origin=origin)


def _taken(parts: Parts, amount_minor: int, holder: Node) -> Parts:
    """Takes an amount off the front, first in, first out; what its holder never got has the holder for its origin."""
    taken: Parts = deque()
    while amount_minor and parts:
        origin, there = parts.popleft()
        amount = min(there, amount_minor)
        if amount < there:
            parts.appendleft((origin, there - amount))
        if taken and taken[-1][0] == origin:
            amount_before = taken.pop()[1]
            taken.append((origin, amount_before + amount))
        else:
            taken.append((origin, amount))
        amount_minor -= amount
    if amount_minor:
        taken.append((holder, amount_minor))
    return taken


def _uses(money: list[Flow], accounts: Mapping[str, Parts]) -> list[Use]:
    """Where the money of each origin is: with payees, who may have sent some back, or on an account."""
    found: dict[tuple[Node, Node], int] = defaultdict(int)
    for each in money:
        if each.origin is not Absent and each.target.kind in ("payee", "draw"):
            found[each.origin, each.target] += each.amount_minor
        elif each.origin is not Absent and each.source.kind == "payee":
            found[each.origin, each.source] -= each.amount_minor
    for account, parts in accounts.items():
        for origin, amount in parts:
            found[origin, Node("account", account)] += amount
    return [Use(origin, holder, amount) for (origin, holder), amount in found.items() if amount]


def _spent(money: list[Flow], uses: list[Use]) -> Iterator[Check]:
    """All that came onto an account from one origin is somewhere."""
    came: Sums = defaultdict(int)
    for each in money:
        if each.target.kind == "account" and each.origin is Absent:
            came[each.source] += each.amount_minor
    held: dict[Node, list[Row]] = defaultdict(list)
    for use in uses:
        held[use.origin].append(_row(use.holder, use.amount_minor))
    for origin, amount in came.items():
        says = f"the money of {origin} is with payees, on the account or taken back"
        yield Check("FIFO", says, (_row(origin, amount),), tuple(held[origin]))


def _passed_on(money: list[Flow], owned: Set[Node], records: Mapping[Node, Record]) -> list[Check]:
    """Each node gave on what it got, but for what is on an account."""
    got: dict[Node, Sums] = defaultdict(lambda: defaultdict(int))
    gave: dict[Node, Sums] = defaultdict(lambda: defaultdict(int))
    for each in money:
        got[each.target][each.source] += each.amount_minor
        gave[each.source][each.target] += each.amount_minor
    checks = []
    for node in dict.fromkeys(node for each in money for node in (each.source, each.target) if node in owned):
        account = records.get(node)
        if isinstance(account, Account):
            gave[node][node] = account.settled_minor
            says = f"what came onto {node} went from it or is there"
            checks.append(Check("I-14", says, _rows(got[node]), _rows(gave[node])))
        else:
            checks.append(Check("I-0", f"{node} gave on what it got", _rows(got[node]), _rows(gave[node])))
    return checks


def _recorded(node: Node, record: Record, rights: list[Flow], money: list[Flow]) -> Iterator[Check]:
    """The sums of the trace that a record has as well."""

    def check(number: str, says: str, traced: int, name: str, recorded: int) -> Check:
        return Check(number, f"{says} {node}", (_row(node, traced),), (Row(node.kind, name, recorded),))

    def given(flows: list[Flow], target: str) -> int:
        return sum(each.amount_minor for each in flows if each.source == node and each.target.kind == target)

    match record:
        case Receivable():
            debtor = party(record.debtor)
            paid = sum(each.amount_minor for each in money if (each.source, each.target) == (debtor, node))
            paid -= sum(each.amount_minor for each in money if (each.source, each.target) == (node, debtor))
            yield check("I-2", "what was paid, but for certificates, of", paid, "settled", record.settled)
        case Certificate():
            claims = sum(each.amount_minor for each in rights if each.target == node)
            if record.accepted is Absent:
                claims -= given(rights, "receivable")
            yield check("I-6", "the claims are the lots of", given(rights, "lot"), "claims", claims)
            paid = given(money, "lot")
            yield check("I-4", "what was paid to the lots of", paid, "settled", record.settled_minor)
        case Guarantee():
            paid = sum(given(money, kind) for kind in ("lot", "loan", "guarantee"))
            recorded = record.compensated_minor + record.contributed_minor
            yield check("I-8", "what was paid under", paid, "paid", recorded)
        case Loan():
            recorded = record.repaid_minor + record.compensated_minor
            yield check("I-10", "what was repaid of", given(money, "principal"), "repaid", recorded)


def _row(node: Node, amount_minor: int) -> Row:
    return Row(node.kind, node.id if node.name is Absent else node.name, amount_minor)


def _rows(amounts: Sums) -> tuple[Row, ...]:
    return tuple(_row(node, amount) for node, amount in amounts.items() if amount)
