"""The conservation statement: what a ledger holds in each currency, in one table whose two sides are the same sum.

Every line of the table says a thing twice, out of records of two kinds or out of members that rules write apart: what
debtors owe and what creditors hold, what claims gave up and what certificates owe, what an account paid out and what
its payments say. Nothing is decided here, and what does not balance is shown and not hidden.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, Final

import msgspec

from finchain.domain.account import Account, Mandate
from finchain.domain.cash import Cash
from finchain.domain.certificate import Certificate, Lot
from finchain.domain.guarantee import Guarantee
from finchain.domain.invariants import outstanding_behind
from finchain.domain.loan import Loan
from finchain.domain.part import Part
from finchain.domain.payment import Payment
from finchain.domain.receivable import Receivable
from finchain.domain.rule import Absent, Record
from finchain.money import format_minor

Names = tuple[str, ...]

CLAIM_BUCKETS: Final[Names] = (
    "claimed", "pending", "confirmed", "disputed_pre", "rejected", "cancelled", "free", "reserved", "assigned",
    "pledged", "disputed_free", "disputed_assigned", "disputed_pledged", "converted", "conv_settled", "settled",
    "credited", "setoff", "written_off", "owed_back",
)  # fmt: skip
PART_BUCKETS: Final[Names] = ("settled", "released", "reversed", "credited", "setoff", "written_off")
GUARANTEE_AMOUNTS: Final[Names] = (
    "covered", "demanded", "compensated", "contributed", "shared", "recovered", "waived", "subrogated", "fee",
    "fee_paid", "fee_refunded", "interest_posted", "interest_paid",
)  # fmt: skip
CHARGE_AMOUNTS: Final[Names] = ("posted", "paid", "compensated", "waived", "due")
ACCOUNT_AMOUNTS: Final[Names] = ("inflow", "outflow", "returned", "refunded", "settled", "reserved", "free")
SECTIONS: Final[Names] = (
    "claims", "parts", "certificates", "lots", "debtors", "creditors", "loans", "guarantees", "accounts", "mandates",
    "payments", "cash",
)  # fmt: skip
"""In the order in which a table shows them."""

WAITING: Final = ("requested", "approved", "instructed")


class Row(msgspec.Struct, frozen=True):
    """One sum.

    Attributes:
        section: What it is of, one of `SECTIONS`.
        name: The bucket; of a lot its rank and encumbrance; of cash, debtors and creditors the party.
    """

    section: str
    name: str
    amount_minor: int


class Check(msgspec.Struct, frozen=True):
    """One line of the table: two sides that are the same sum.

    Attributes:
        number: The invariant of `docs/rules.md` that says so.
        says: Why they are the same, in a sentence.
    """

    number: str
    says: str
    left: tuple[Row, ...]
    right: tuple[Row, ...]

    @property
    def left_minor(self) -> int:
        """Sum of the left side."""
        return sum(row.amount_minor for row in self.left)

    @property
    def right_minor(self) -> int:
        """Sum of the right side."""
        return sum(row.amount_minor for row in self.right)

    @property
    def balanced(self) -> bool:
        """Whether both sides are the same sum."""
        return self.left_minor == self.right_minor


class CurrencyTotals(msgspec.Struct, frozen=True):
    """The table of one currency.

    Attributes:
        rows: Every sum that is not 0.
        checks: The lines of the table.
    """

    currency: str
    rows: tuple[Row, ...]
    checks: tuple[Check, ...]

    @property
    def left_minor(self) -> int:
        """Sum of all left sides."""
        return sum(check.left_minor for check in self.checks)

    @property
    def right_minor(self) -> int:
        """Sum of all right sides."""
        return sum(check.right_minor for check in self.checks)

    @property
    def balanced(self) -> bool:
        """Whether every line balances, and with them the table."""
        return all(check.balanced for check in self.checks)

    def amount_minor(self, section: str, name: str) -> int:
        """One sum; 0 where there is nothing of the kind."""
        return next((row.amount_minor for row in self.rows if (row.section, row.name) == (section, name)), 0)

    def __str__(self) -> str:
        amounts = [(f"{row.section} {row.name}", format_minor(row.amount_minor, self.currency)) for row in self.rows]
        width = max((len(name) for name, _ in amounts), default=0)
        lines = [f"  {name.ljust(width)}  {amount:>22}" for name, amount in amounts]
        for check in self.checks:
            left, right = (format_minor(each, self.currency) for each in (check.left_minor, check.right_minor))
            lines.append(f"  {'=' if check.balanced else '≠'} {left:>22}  {right:>22}  {check.number:<5} {check.says}")
        left, right = (format_minor(each, self.currency) for each in (self.left_minor, self.right_minor))
        verdict = "balanced" if self.balanced else "NOT BALANCED"
        return "\n".join([f"{self.currency}  {verdict}", *lines, f"    {left:>22}  {right:>22}  all lines"])


class Totals(msgspec.Struct, frozen=True):
    """The conservation statement of a ledger.

    Attributes:
        as_of: The day at whose end it is true; of today, now.
        height: How many blocks it rests on.
        currencies: The tables, by currency.
    """

    as_of: date
    height: int
    currencies: tuple[CurrencyTotals, ...]

    @property
    def balanced(self) -> bool:
        """Whether every table balances."""
        return all(each.balanced for each in self.currencies)

    def of(self, currency: str) -> CurrencyTotals:
        """The table of a currency, which is empty where the ledger holds nothing in it."""
        found = (each for each in self.currencies if each.currency == currency)
        return next(found, CurrencyTotals(currency, (), ()))

    def __str__(self) -> str:
        head = f"as of {self.as_of}, after {self.height} blocks"
        return "\n".join([head, *map(str, self.currencies)])


Amounts = dict[tuple[str, str], int]
"""Sums of one currency, by section and name."""


def totals_of(records: Iterable[Record], *, today: date, height: int) -> Totals:
    """The statement over the records of one ledger, read once.

    Args:
        records: In the order of birth: what a lot or a payment belongs to comes before it.
        today: The day on which an offer may have ended and a loan may still be drawn.
        height: How many blocks the records rest on.
    """
    sums = _Sums(today)
    for record in records:
        add = _ADD.get(type(record))
        if add is not None:
            add(sums, record)
    sums.add_exposures()
    tables = tuple(_table(currency, amounts) for currency, amounts in sorted(sums.amounts.items()))
    return Totals(today, height, tables)


def exposures(
    guarantees: Mapping[str, Guarantee], creditors: Mapping[str, int], loans: Mapping[str, Loan], today: date
) -> dict[str, int]:
    """What each guarantor may still have to pay, which rests on what others paid and on what is outstanding.

    Args:
        guarantees: All guarantees, by id.
        creditors: The live units of each certificate that no guarantor took over.
        loans: All loans, by id.
        today: The day for which it is asked.
    """
    paid: dict[tuple[str, str, object], int] = defaultdict(int)
    for each in guarantees.values():
        paid[each.secures, each.debt, each.behind] += each.compensated_minor
    found = {}
    for each in guarantees.values():
        others = paid[each.secures, each.debt, each.behind] - each.compensated_minor
        # What an offer stands behind need not be there.
        outstanding = outstanding_behind(each, creditors, loans, guarantees, today) if each.is_in_effect else 0
        found[each.id] = each.exposure_minor(outstanding, today, others)
    return found


class _Sums:
    """The sums of every currency, and what is needed to know the currency of what belongs to something else."""

    def __init__(self, today: date) -> None:
        self.today = today
        self.amounts: dict[str, Amounts] = defaultdict(lambda: defaultdict(int))
        self.certificates: dict[str, Certificate] = {}
        self.accounts: dict[str, str] = {}
        self.guarantees: dict[str, Guarantee] = {}
        self.creditors: dict[str, int] = defaultdict(int)
        self.loans: dict[str, Loan] = {}

    def add(self, currency: str, section: str, record: Record, names: Names, suffix: str = "_minor") -> None:
        """Adds members of a record to the sums of the same names."""
        amounts = self.amounts[currency]
        for name in names:
            amounts[section, name] += getattr(record, name + suffix)

    def add_claim(self, claim: Receivable) -> None:
        self.add(claim.currency, "claims", claim, CLAIM_BUCKETS, "")
        amounts = self.amounts[claim.currency]
        amounts["debtors", claim.debtor] += claim.open + claim.disputed_post
        amounts["creditors", claim.creditor] += claim.free + claim.reserved + claim.disputed_free

    def add_part(self, part: Part) -> None:
        self.add(part.currency, "parts", part, PART_BUCKETS)
        amounts = self.amounts[part.currency]
        amounts["parts", "face"] += part.face_minor
        amounts["parts", part.mark] += part.amount_minor
        amounts["parts", f"disputed_{part.mark}"] += part.disputed_minor
        amounts["creditors", part.holder] += part.amount_minor + part.disputed_minor

    def add_certificate(self, certificate: Certificate) -> None:
        self.certificates[certificate.id] = certificate
        self.add(
            certificate.currency, "certificates", certificate, ("amount", "live", "settled", "cancelled", "suspense")
        )
        self.amounts[certificate.currency]["debtors", certificate.issuer] += certificate.live_minor

    def add_lot(self, lot: Lot) -> None:
        amounts = self.amounts[self.certificates[lot.certificate].currency]
        amounts["lots", f"{lot.rank} {lot.encumbrance(self.today)}"] += lot.live_minor
        amounts["creditors", lot.holder] += lot.live_minor
        for call in lot.calls:
            amounts["lots", "demanded"] += call.demanded_minor
            amounts["lots", "compensated"] += call.paid_minor
        if lot.guarantee is Absent:
            self.creditors[lot.certificate] += lot.live_minor
        else:
            amounts["lots", "subrogated"] += lot.live_minor

    def add_loan(self, loan: Loan) -> None:
        self.loans[loan.id] = loan
        self.add(loan.currency, "loans", loan, ("limit", "drawn", "outstanding", "repaid", "compensated", "reserved"))
        amounts = self.amounts[loan.currency]
        if loan.ended is Absent:
            amounts["loans", "undrawn"] += max(0, loan.left_to_draw(self.today) - loan.reserved_minor)
        for charge in loan.charges.values():
            for name in CHARGE_AMOUNTS:
                amounts["loans", f"charges {name}"] += getattr(charge, f"{name}_minor")

    def add_guarantee(self, guarantee: Guarantee) -> None:
        self.guarantees[guarantee.id] = guarantee
        self.add(guarantee.currency, "guarantees", guarantee, GUARANTEE_AMOUNTS)
        if guarantee.secures == "certificate":
            self.amounts[guarantee.currency]["guarantees", "subrogated units"] += guarantee.subrogated_minor
        elif guarantee.call is not Absent:
            amounts = self.amounts[guarantee.currency]
            amounts["loans", "demanded"] += guarantee.call.demanded_minor
            tier = "lenders" if guarantee.behind is Absent else "guarantors"
            amounts["loans", f"paid to {tier}"] += guarantee.call.paid_minor

    def add_exposures(self) -> None:
        """Adds what guarantors may still have to pay."""
        for id, exposure in exposures(self.guarantees, self.creditors, self.loans, self.today).items():
            self.amounts[self.guarantees[id].currency]["guarantees", "exposure"] += exposure

    def add_account(self, account: Account) -> None:
        self.accounts[account.id] = account.currency
        self.add(account.currency, "accounts", account, ACCOUNT_AMOUNTS)

    def add_mandate(self, mandate: Mandate) -> None:
        self.add(self.accounts[mandate.account], "mandates", mandate, ("paid", "returned", "refunded", "reserved"))

    def add_payment(self, payment: Payment) -> None:
        currency = self.accounts[payment.account]
        self.add(currency, "payments", payment, ("settled", "returned", "refunded"))
        if payment.stage in WAITING:
            self.amounts[currency]["payments", "waiting"] += payment.amount_minor

    def add_cash(self, cash: Cash) -> None:
        holder, _, currency = cash.id.rpartition(" ")
        self.amounts[currency]["cash", holder] += cash.net_minor


_ADD: Final[dict[type[Record], Callable[[_Sums, Any], None]]] = {
    Receivable: _Sums.add_claim, Part: _Sums.add_part, Certificate: _Sums.add_certificate, Lot: _Sums.add_lot,
    Loan: _Sums.add_loan, Guarantee: _Sums.add_guarantee, Account: _Sums.add_account, Mandate: _Sums.add_mandate,
    Payment: _Sums.add_payment, Cash: _Sums.add_cash,
}  # fmt: skip

LINES: Final[tuple[tuple[str, str, Names, Names], ...]] = (
    (
        "I-1", "every claim is pending, confirmed, disputed, rejected or cancelled", ("claims claimed",),
        ("claims pending", "claims confirmed", "claims disputed_pre", "claims rejected", "claims cancelled"),
    ),
    (
        "I-2", "what was confirmed is open, in certificates, or done with", ("claims confirmed",),
        tuple(f"claims {name}" for name in CLAIM_BUCKETS[6:-1]),
    ),
    ("I-3", "what is assigned of claims is in the hands of assignees", ("claims assigned", "claims disputed_assigned"),
     ("parts assigned", "parts disputed_assigned")),
    ("I-3", "what is pledged of claims is in the hands of pledgees", ("claims pledged", "claims disputed_pledged"),
     ("parts pledged", "parts disputed_pledged")),
    ("I-3", "every part is still open, or done with", ("parts face",),
     ("parts assigned", "parts disputed_assigned", "parts pledged", "parts disputed_pledged",
      *(f"parts {name}" for name in PART_BUCKETS))),
    ("I-6", "what claims gave up, certificates owe", ("claims converted",), ("certificates live",)),
    ("I-6", "what was paid on certificates, their claims were paid", ("claims conv_settled",),
     ("certificates settled",)),
    ("I-4", "every certificate is live, paid or cancelled", ("certificates amount",),
     ("certificates live", "certificates settled", "certificates cancelled")),
    ("I-4", "what certificates owe is in somebody's lots", ("certificates live",),
     tuple(f"lots {rank} {encumbrance}" for rank in ("none", "senior", "junior", "last")
           for encumbrance in ("none", "reserved", "pledged"))),
    ("I-8", "what guarantors of certificates paid and did not get back are lots of theirs",
     ("guarantees subrogated units",), ("lots subrogated",)),
    ("I-8", "what guarantors paid was got back, forgiven, shared, or is owed to them",
     ("guarantees compensated", "guarantees contributed"),
     ("guarantees recovered", "guarantees waived", "guarantees shared", "guarantees subrogated")),
    ("I-8", "what was demanded of guarantors was demanded for lots and loans", ("guarantees demanded",),
     ("lots demanded", "loans demanded")),
    ("I-8", "what guarantors paid, holders of lots, lenders and other guarantors received",
     ("guarantees compensated",), ("lots compensated", "loans paid to lenders", "loans paid to guarantors")),
    ("I-8", "what guarantors paid lenders, their loans have lost", ("loans paid to lenders",),
     ("loans compensated", "loans charges compensated")),
    ("I-8", "what guarantors paid each other, others of them received", ("guarantees contributed",),
     ("guarantees shared",)),
    ("I-10", "what was lent is owed, repaid or was paid by guarantors", ("loans drawn",),
     ("loans outstanding", "loans repaid", "loans compensated")),
    ("I-11", "interest and costs are due, paid by borrower or guarantor, or waived", ("loans charges posted",),
     ("loans charges due", "loans charges paid", "loans charges compensated", "loans charges waived")),
    ("I-14", "what came onto accounts is there, or with payees",
     ("accounts inflow", "payments returned", "payments refunded"), ("accounts settled", "payments settled")),
    ("I-15", "what left accounts, left under mandates", ("accounts outflow",), ("mandates paid",)),
    ("I-15", "what accounts hold back, payments wait for", ("accounts reserved",), ("payments waiting",)),
)  # fmt: skip
"""The lines between sums of fixed names. Those between parties are made in `_table`."""


def _table(currency: str, amounts: Amounts) -> CurrencyTotals:
    ordered = sorted(amounts.items(), key=lambda each: SECTIONS.index(each[0][0]))
    rows = tuple(Row(section, name, amount) for (section, name), amount in ordered if amount)
    named = {f"{row.section} {row.name}": row for row in rows}
    checks = [
        Check(
            number, says, tuple(named[name] for name in left if name in named),
            tuple(named[name] for name in right if name in named),
        )
        for number, says, left, right in LINES
    ]  # fmt: skip
    by_party: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_party[row.section].append(row)
    checks.insert(
        0,
        Check(
            "I-5", "what debtors of claims and certificates owe, their creditors hold", tuple(by_party["debtors"]),
            tuple(by_party["creditors"]),
        ),
    )  # fmt: skip
    received = tuple(row for row in by_party["cash"] if row.amount_minor > 0)
    paid = tuple(Row("cash", row.name, -row.amount_minor) for row in by_party["cash"] if row.amount_minor < 0)
    checks.append(Check("I-0", "what some received, others paid", received, paid))
    return CurrencyTotals(currency, rows, tuple(checks))
