"""Loans: a limit, what is pledged for it, draws, and money that the lender has really paid out.

Never more is lent than the agreed share of what is pledged, and interest is never deducted in advance: the principal
is what arrived. How a loan is repaid stands in `repayment`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import ClassVar, Final, Literal

import msgspec

from finchain.calendar import DAYS_IN_YEAR, DayCount, Shift, add_days, count_days
from finchain.domain.account import Account, credit, last_posting
from finchain.domain.accrual import Balances, Rates, RoundAt, always, changed, interest_between
from finchain.domain.arithmetic import WHOLE_BP, Rate, heavier, interest
from finchain.domain.cash import enter_fact, move_cash
from finchain.domain.certificate import Lot
from finchain.domain.check import (
    check_amount,
    check_identifier,
    check_rate,
)
from finchain.domain.guarantee import Guarantee, check_offered, check_together, take_effect
from finchain.domain.holiday import check_shift, newest, payable_on
from finchain.domain.part import Part, take_open
from finchain.domain.party import require
from finchain.domain.policy import first_value_date
from finchain.domain.rates import check_interest, check_prepayment_fee, note_penalty
from finchain.domain.receivable import claim_of
from finchain.domain.rule import NONE, Absent, Book, Instruction, Optional, Record, from_to, record, refuse, rule, up_to
from finchain.money import AMOUNT_MAX_MINOR, format_minor

Prepayment = Literal["none", "interest_now", "interest_at_maturity"]
"""Whether the borrower may repay early, and when the interest on that part is then paid."""

ChargeName = Literal["costs", "fees", "compound", "penalty", "interest"]
"""Costs of enforcement, agreed fees, interest on unpaid interest, interest at the penalty rate, interest as agreed."""

Waterfall = Literal["interest_first", "principal_first_when_late"]
"""What money for a loan that is due goes to: costs, fees and interest before principal (Civil Code 561), always or
only until the loan is `LATE_DAYS` overdue, when a bank counts no interest on it any more and takes the principal."""

Status = Literal["agreed", "active", "repaid", "ended"]

LATE_DAYS: Final = 90
"""A loan overdue for longer is non-performing by every bank's rules."""

PREPAYMENT_DAYS_MAX: Final = 366
"""A notice given more than a year ahead is a change of the maturity."""

# Together with their names these stay below a record's 16,384 bytes.
COLLATERAL_MAX: Final = 48
LOAN_GUARANTEES_MAX: Final = 4
DRAWS_MAX: Final = 16
BALANCES_MAX: Final = 64


class Draw(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A draw: reserved when it is signed, lent when the lender has paid it out.

    Attributes:
        asked_minor: What was signed for; only what was paid of it, where that was taken back.
        lent_minor: What the lender paid; 0 until then.
        outstanding_minor: What of it is not repaid.
        balances: What was outstanding since when, from the last posting of interest on.
    """

    name: str
    asked_minor: int
    lent_minor: int = 0
    outstanding_minor: int = 0
    balances: Balances = ()


class Charge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of interest (I-11: posted = paid + compensated + due + waived).

    Attributes:
        compensated_minor: What guarantors paid of it, which the borrower owes to them.
    """

    posted_minor: int = 0
    paid_minor: int = 0
    compensated_minor: int = 0
    waived_minor: int = 0

    @property
    def due_minor(self) -> int:
        """Posted and still to be paid to the lender."""
        return self.posted_minor - self.discharged_minor

    @property
    def discharged_minor(self) -> int:
        """What of it is paid, by whomever, or waived."""
        return self.paid_minor + self.compensated_minor + self.waived_minor


class KeptTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a guarantor still answers by that did not sign when the loan was made dearer (Civil Code 695).

    Attributes:
        rate_changes: The rate as it would have changed without what the guarantor did not sign.
        penalty_rate: The penalty rate, likewise.
        posted: What would have been posted by these terms.
    """

    guarantee: str
    rate_changes: Rates
    penalty_rate: Rate
    posted: dict[ChargeName, int]


class Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The borrower's notice that it will prepay so much principal, of the draw that it names or of the earliest."""

    amount_minor: int
    given: date
    draw: str | Optional = Absent


@record
class Loan(Record, frozen=True, kw_only=True):
    """A loan: of a revolving one what is repaid can be drawn again, of any other nothing.

    Attributes:
        advance_bp: The share of what is pledged, in basis points, up to which is lent.
        rate: Rate per year as first agreed, and `rate_changes` what was agreed later, from its day on.
        penalty_rate: Rate per year in the place of `rate` once it is due, and on interest that is not paid.
        misuse_rate: Rate per year instead of both where the money was used for something else.
        available_until: Last day on which it can be drawn.
        prepayment_days: How many days before a prepayment its notice must be given.
        prepayment_fee_bp: The share of the principal, in basis points, that a prepayment by notice costs.
        account: The controlled account that it is paid into.
        collateral: Ids of the lots that are pledged for it.
        claims: Ids of the pledged parts of claims that secure it.
        guarantees: Ids of the guarantees that cover it.
        kept: The terms by which guarantors answer that did not sign a heavier change.
        revolving: Whether what is repaid becomes free again.
        calendar: Calendar by which maturity is moved to a business day, in the version `calendar_version`.
        shift: How it is moved; interest at the agreed rate runs until then.
        shifted: The business day to which it is moved; absent where it is `maturity` itself.
        draws: All draws, the earliest first.
        charges: Interest that was posted, by its kind.
        posted: Value date of the last posting.
        accelerated: The day on which the lender called it due before maturity.
        misused: The day from which it bears the misuse rate.
        written_off: The day on which the lender took it out of its books; the borrower owes it all the same.
        ended: The day on which nothing was owed any more and nothing left to draw.
        rulebook: Number of the rulebook that it was signed under: its terms stay those of that rulebook.
    """

    kind: ClassVar[str] = "loan"

    rulebook: int
    lender: str
    borrower: str
    currency: str
    limit_minor: int
    advance_bp: int
    rate: Rate
    penalty_rate: Rate
    day_count: DayCount
    round_at: RoundAt
    prepayment: Prepayment
    prepayment_days: int
    available_until: date
    maturity: date
    account: str
    waterfall: Waterfall
    prepayment_fee_bp: int | Optional = Absent
    misuse_rate: Rate | Optional = Absent
    revolving: bool | Optional = Absent
    calendar: str | Optional = Absent
    calendar_version: int | Optional = Absent
    shift: Shift | Optional = Absent
    shifted: date | Optional = Absent
    collateral: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    draws: tuple[Draw, ...] = ()
    charges: dict[ChargeName, Charge]
    # I-10: drawn = outstanding + repaid + compensated, and used <= limit
    repaid_minor: int = 0
    compensated_minor: int = 0
    rate_changes: Rates = ()
    guarantees: tuple[str, ...] = ()
    kept: tuple[KeptTerms, ...] = ()
    notice: Notice | Optional = Absent
    posted: date | Optional = Absent
    accelerated: date | Optional = Absent
    misused: date | Optional = Absent
    written_off: date | Optional = Absent
    ended: date | Optional = Absent

    @property
    def due_on(self) -> date:
        """The day on which all of it is due."""
        if self.accelerated is not Absent:
            return self.accelerated
        return self.maturity if self.shifted is Absent else self.shifted

    @property
    def rate_now(self) -> Rate:
        """The agreed rate of the newest change."""
        return self.rate_changes[-1].rate if self.rate_changes else self.rate

    @property
    def late_rate(self) -> Rate:
        """The rate once it is due: where it was misused and is late too the heavier of the two, never their sum."""
        return self._late_rate(self.penalty_rate)

    def _late_rate(self, penalty_rate: Rate) -> Rate:
        if self.misused is Absent or self.misuse_rate is Absent:
            return penalty_rate
        return heavier(penalty_rate, self.misuse_rate)

    @property
    def drawn_minor(self) -> int:
        """What the lender has paid out."""
        return sum(draw.lent_minor for draw in self.draws)

    @property
    def used_minor(self) -> int:
        """What of the limit is used up: what is owed of a revolving loan, all that was ever lent of another (I-10)."""
        return self.outstanding_minor if self.revolving is True else self.drawn_minor

    @property
    def reserved_minor(self) -> int:
        """What was signed for and not paid out yet."""
        return sum(draw.asked_minor for draw in self.draws if not draw.lent_minor)

    @property
    def outstanding_minor(self) -> int:
        """Principal that is not repaid."""
        return sum(draw.outstanding_minor for draw in self.draws)

    @property
    def due_minor(self) -> int:
        """Interest that was posted and not paid."""
        return sum(charge.due_minor for charge in self.charges.values())

    @property
    def entries(self) -> int:
        """Entries in the histories of its draws."""
        return sum(len(draw.balances) for draw in self.draws)

    @property
    def status(self) -> Status:
        """Where the loan stands."""
        if self.ended is not Absent:
            return "ended"
        if not self.drawn_minor:
            return "agreed"
        return "active" if self.outstanding_minor + self.due_minor else "repaid"

    def left_to_draw(self, today: date) -> int:
        """What may still be drawn, collateral permitting."""
        open_still = today <= self.available_until and self.accelerated is Absent
        return self.limit_minor - self.used_minor if open_still else 0

    def accrued_minor(self, on: date, kept: KeptTerms | None = None) -> int:
        """Interest at the agreed rate since the last posting, up to a day or the due day, not posted yet.

        Args:
            on: The day.
            kept: By whose terms, where not by the loan's own.
        """
        changes = self.rate_changes if kept is None else kept.rate_changes
        histories = [draw.balances for draw in self.draws]
        return interest_between(
            histories, date.min, min(on, self.due_on), (*always(self.rate), *changes), self.day_count, self.round_at
        )  # fmt: skip

    def accrued_penalty_minor(self, on: date, kept: KeptTerms | None = None) -> int:
        """Interest at the penalty rate since the last posting, from the due day up to a day, not posted yet."""
        rate = self.late_rate if kept is None else self._late_rate(kept.penalty_rate)
        histories = [draw.balances for draw in self.draws]
        return interest_between(histories, self.due_on, on, always(rate), self.day_count, self.round_at)

    def accrued_compound_minor(self, on: date, kept: KeptTerms | None = None) -> int:
        """Interest at the penalty rate on agreed interest that was due and not paid, up to a day, not posted yet.

        Penalty and compound interest bear none themselves (PBOC 2003 No. 251 allows it on interest at the agreed rate).
        """
        since = self.due_on if self.posted is Absent else max(self.due_on, self.posted)
        if on <= since:
            return 0
        unpaid = self.charge_due_minor("interest", kept) + self.accrued_minor(self.due_on, kept)
        rate = self.late_rate if kept is None else self._late_rate(kept.penalty_rate)
        return interest(unpaid, rate, count_days(since, on, self.day_count), DAYS_IN_YEAR[self.day_count])

    def charge_due_minor(self, name: ChargeName, kept: KeptTerms | None = None) -> int:
        """What was posted of a charge, or would have been, less all that was paid, by whomever, or waived."""
        charge = self.charges.get(name, Charge())
        if kept is None:
            return charge.due_minor
        # All that was really paid counts: a guarantor is as well off as if nothing had been changed.
        return max(0, kept.posted.get(name, charge.posted_minor) - charge.discharged_minor)

    def __str__(self) -> str:
        outstanding = format_minor(self.outstanding_minor, self.currency)
        return f"{self.id} {self.status}: {self.borrower} owes {self.lender} {outstanding} {self.currency} of principal"


class AgreeLoan(Instruction, frozen=True, tag="loan.agree"):
    """Agrees a loan; nothing is lent yet. Signed by lender and borrower.

    With it the lender accepts the guarantees that it names, which take effect.

    Attributes:
        account: A controlled account of the borrower, of which the lender is a controller.
        waterfall: What money for the loan goes to first.
        misuse_rate: Rate per year where the money is used for something else; absent where none was agreed.
        guarantees: Ids of guarantees that were offered for this loan.
        revolving: Whether what is repaid can be drawn again; not where absent.
        calendar: Calendar by which maturity is moved to a business day, as `shift` says; both or none.
        prepayment_fee_bp: What a prepayment costs, as a share of its principal in basis points; nothing where absent.
    """

    id: str
    lender: str
    borrower: str
    limit_minor: int
    advance_bp: int
    rate: Rate
    penalty_rate: Rate
    day_count: DayCount
    round_at: RoundAt
    prepayment: Prepayment
    prepayment_days: int
    available_until: date
    maturity: date
    account: str
    waterfall: Waterfall
    misuse_rate: Rate | Optional = Absent
    guarantees: list[str] | Optional = Absent
    revolving: bool | Optional = Absent
    calendar: str | Optional = Absent
    shift: Shift | Optional = Absent
    prepayment_fee_bp: int | Optional = Absent


class DrawLoan(Instruction, frozen=True, tag="loan.draw"):
    """Signs for a draw, which reserves it. Signed by borrower and lender.

    Attributes:
        name: Name of the draw within the loan.
    """

    id: str
    name: str
    amount_minor: int


class DisburseLoan(Instruction, frozen=True, tag="loan.disburse"):
    """States that a draw was paid into the controlled account. Signed by the lender and the account's bank.

    Attributes:
        amount_minor: What the borrower really got; it is the principal, whatever was signed for (Civil Code 670).
    """

    id: str
    name: str
    amount_minor: int
    reference: str
    digest: str
    value_date: date | Optional = Absent


@rule(AgreeLoan)
def _agree(do: AgreeLoan, book: Book) -> None:
    check_identifier("loan", do.id)
    if book.find(Loan, do.id) is not None:
        refuse("loan.duplicate", f"there is a loan {do.id} already", field="id", value=do.id,
               advice="choose another id")  # fmt: skip
    require(book, "loan", do.lender, role="lender", field="lender")
    require(book, "loan", do.borrower, field="borrower")
    check_amount("loan", do.limit_minor, "limit_minor")
    check_rate("loan", do.rate, "rate")
    check_rate("loan", do.penalty_rate, "penalty_rate")
    if do.misuse_rate is not Absent:
        check_rate("loan", do.misuse_rate, "misuse_rate")
    account = book.get(Account, do.account, field="account")
    if account.owner != do.borrower or do.lender not in account.controllers or do.lender == do.borrower:
        refuse("loan.account", f"{do.account} is not {do.borrower}'s under the control of {do.lender}",
               rule="controlled accounts", field="account", value=do.account,
               advice="name a controlled account of the borrower of which the lender is a controller",
               owner=account.owner, controllers=", ".join(account.controllers))  # fmt: skip
    check_interest(do.limit_minor, do.rate, do.penalty_rate, do.misuse_rate)
    note_penalty(book, do.id, do.rate, do.penalty_rate, do.misuse_rate)
    check_prepayment_fee(do.prepayment_fee_bp, agreed=do.prepayment != "none")
    if not 1 <= do.advance_bp <= WHOLE_BP:
        refuse("loan.advance", f"a share of {do.advance_bp} basis points", field="advance_bp", value=do.advance_bp,
               advice=f"state 1 to {WHOLE_BP}")  # fmt: skip
    check_shift("loan", do.calendar, do.shift)
    due_on = payable_on(book, do.maturity, do.calendar, do.shift)
    bad_notice = not 0 <= do.prepayment_days <= PREPAYMENT_DAYS_MAX
    if not book.today <= do.available_until <= min(do.maturity, due_on) or due_on <= book.today or bad_notice:
        refuse(
            "loan.date", "its days do not follow each other, or its notice is too long", field="maturity",
            value=str(do.maturity), available_until=str(do.available_until), prepayment_days=do.prepayment_days,
            advice=f"order today, available_until, maturity; let notice be 0 to {PREPAYMENT_DAYS_MAX} days",
        )  # fmt: skip
    loan = Loan(
        id=do.id, rulebook=book.rulebook,
        lender=do.lender, borrower=do.borrower, currency=account.currency, limit_minor=do.limit_minor,
        advance_bp=do.advance_bp, rate=do.rate, penalty_rate=do.penalty_rate, day_count=do.day_count,
        round_at=do.round_at, prepayment=do.prepayment, prepayment_days=do.prepayment_days,
        prepayment_fee_bp=do.prepayment_fee_bp, available_until=do.available_until, maturity=do.maturity,
        account=do.account, waterfall=do.waterfall, misuse_rate=do.misuse_rate, revolving=do.revolving,
        calendar=do.calendar, shift=do.shift, charges={},
        guarantees=_accepted_guarantees(do, account.currency, due_on, book),
    )  # fmt: skip
    book.put(with_maturity(loan, do.maturity, book))


def _accepted_guarantees(do: AgreeLoan, currency: str, due_on: date, book: Book) -> tuple[str, ...]:
    """The guarantees that the lender accepts with the loan, which take effect."""
    guarantees = () if do.guarantees is Absent else tuple(do.guarantees)
    check_together(book, guarantees, most=LOAN_GUARANTEES_MAX)
    for id in guarantees:
        guarantee = check_offered(
            book, id, secures="loan", debt=do.id, debtor=do.borrower, creditor=do.lender, currency=currency, due=due_on
        )  # fmt: skip
        take_effect(book, guarantee, do.limit_minor, do.maturity)
    return guarantees


@rule(DrawLoan)
def _draw(do: DrawLoan, book: Book) -> None:
    loan = live_loan(do.id, book)
    require(book, "loan", loan.borrower, field="borrower")
    require(book, "loan", loan.lender, role="lender", field="lender")
    check_identifier("loan", do.name, "name")
    check_amount("loan", do.amount_minor)
    if any(draw.name == do.name for draw in loan.draws) or len(loan.draws) >= DRAWS_MAX:
        refuse("loan.duplicate", f"{loan.id} has a draw {do.name}, or {DRAWS_MAX} of them", field="name",
               value=do.name,
               advice="choose another name" if len(loan.draws) < DRAWS_MAX else f"{NONE}: agree another loan",
        )  # fmt: skip
    if book.today > loan.available_until or loan.accelerated is not Absent:
        end = min(loan.available_until, loan.due_on)
        refuse("loan.expired", f"{loan.id} could be drawn until {end}", field="id", value=do.id,
               advice=f"{NONE}: agree another loan")  # fmt: skip
    # A revolving loan is drawn again and again, and what was drawn and repaid in all has to stay an amount.
    free = min(loan.limit_minor - loan.used_minor, AMOUNT_MAX_MINOR - loan.drawn_minor) - loan.reserved_minor
    lendable = lendable_minor(loan, book) - loan.outstanding_minor - loan.reserved_minor
    if do.amount_minor > free:
        refuse("loan.cap_exceeded", f"{free} of {loan.id} can be drawn", rule="I-10", field="amount_minor",
               value=do.amount_minor, limit=loan.limit_minor, used=loan.used_minor,
               advice=up_to("draw", min(free, lendable), "repay or pledge more first, or agree another loan"),
        )  # fmt: skip
    if do.amount_minor > lendable:
        refuse("loan.over_advance", f"pledges and guarantees secure {max(lendable, 0)} more", rule="collateral",
               field="amount_minor", value=do.amount_minor,
               advice=up_to("draw", lendable, "nothing secures it; pledge more first"),
               pledged=collateral_minor(loan, book), advance_bp=loan.advance_bp)  # fmt: skip
    draw = Draw(name=do.name, asked_minor=do.amount_minor)
    book.put(msgspec.structs.replace(loan, draws=(*loan.draws, draw)))


@rule(DisburseLoan)
def _disburse(do: DisburseLoan, book: Book) -> None:
    loan = live_loan(do.id, book)
    account = book.get(Account, loan.account)
    by = require(book, "loan", loan.lender, role="lender", field="lender").id
    require(book, "loan", account.bank, role="settlement_bank", field="bank")
    check_amount("loan", do.amount_minor)
    index = next((index for index, draw in enumerate(loan.draws) if draw.name == do.name), None)
    if index is None or loan.draws[index].lent_minor or do.amount_minor > loan.draws[index].asked_minor:
        waits = 0 if index is None or loan.draws[index].lent_minor else loan.draws[index].asked_minor
        refuse("loan.bad_state", f"no draw {do.name} of that much waits to be paid out",
               field="amount_minor" if waits else "name",
               advice=up_to("pay out", waits, "let borrower and lender sign for a draw first"))  # fmt: skip
    last = max(filter(None, (last_posting(account), last_loan_posting(loan))), default=None)
    on = enter_fact(
        book, "loan", do, by=by, amount_minor=do.amount_minor, currency=loan.currency, last=last,
        of=f"{loan.id} {do.name}",
    )  # fmt: skip
    if on >= loan.due_on or loan.accelerated is not Absent:
        end = date.min if loan.accelerated is not Absent else add_days(loan.due_on, -1)
        refuse("loan.expired", f"{loan.id} was due on {loan.due_on}", field="value_date", value=str(on),
               advice=from_to(first_value_date(book, last), end, f"{NONE}: agree another loan"))  # fmt: skip
    draw = msgspec.structs.replace(
        loan.draws[index], lent_minor=do.amount_minor, outstanding_minor=do.amount_minor,
        balances=changed((), on, do.amount_minor),
    )  # fmt: skip
    draws = (*loan.draws[:index], draw, *loan.draws[index + 1 :])
    put_loan(msgspec.structs.replace(loan, draws=draws, posted=on), book)
    credit(book, account.id, do.amount_minor, on)
    move_cash(book, loan.lender, loan.borrower, do.amount_minor, loan.currency)


def drop_collateral(book: Book, id: str) -> None:
    """Ends the pledge of a lot, on the lot and on the loan that it secured."""
    lot = book.get(Lot, id)
    if lot.pledge is Absent:
        return
    book.put(msgspec.structs.replace(lot, pledge=Absent))
    replace_collateral(book, lot.pledge.loan, id, None)


def drop_claims(book: Book, loan: Loan) -> None:
    """Ends the pledges of parts of claims for a loan that has ended: what is open of them is the creditor's again.

    What is disputed of them stays with the lender until the dispute is resolved, because nobody knows yet whether it
    is there to be given back.
    """
    for id in loan.claims:
        part = book.get(Part, id)
        if part.amount_minor:
            book.put(take_open(claim_of(book, part.receivable), part, part.amount_minor, "free", book))
        book.put(msgspec.structs.replace(book.get(Part, id), loan=Absent))


def replace_collateral(book: Book, loan_id: str, old: str, new: str | None) -> None:
    """Names another lot in the place of one that secured a loan, or none; the rule that calls changes the lots."""
    loan = book.get(Loan, loan_id)
    collateral = tuple(each if each != old else new for each in loan.collateral)
    book.put(msgspec.structs.replace(loan, collateral=tuple(each for each in collateral if each is not None)))


def with_maturity(loan: Loan, maturity: date, book: Book) -> Loan:
    """The loan with a maturity, moved to a business day by the newest version of its calendar, if it has one.

    Raises:
        Refused: `calendar.not_found`, `calendar.not_covered`.
    """
    due_on = payable_on(book, maturity, loan.calendar, loan.shift)
    version = Absent if loan.calendar is Absent else newest(book, loan.calendar)
    return msgspec.structs.replace(
        loan, maturity=maturity, calendar_version=version, shifted=Absent if due_on == maturity else due_on
    )  # fmt: skip


def put_loan(loan: Loan, book: Book) -> None:
    """Writes a loan whose balances changed.

    Raises:
        Refused: `loan.balances`, where they changed too often since interest was posted.
    """
    if loan.entries > BALANCES_MAX:
        refuse("loan.balances", f"the balance of {loan.id} would have changed {loan.entries} times", field="id",
               value=loan.id, advice=f"wait until interest is posted; {BALANCES_MAX} changes are the most")  # fmt: skip
    book.put(loan)


def live_loan(id: str, book: Book, *, field: str = "id") -> Loan:
    """The loan, which has not ended.

    Raises:
        Refused: `loan.not_found` or `loan.bad_state`.
    """
    loan = book.get(Loan, id, field=field)
    if loan.ended is not Absent:
        refuse("loan.bad_state", f"{id} ended on {loan.ended}", field=field, value=id,
               advice=f"{NONE}: agree another loan")  # fmt: skip
    return loan


def last_loan_posting(loan: Loan) -> date | None:
    """Value date of the loan's last posting, before which nothing may be valued."""
    return None if loan.posted is Absent else loan.posted


def collateral_minor(loan: Loan, book: Book) -> int:
    """What is pledged: the live units of its lots, and what is open and undisputed of its parts of claims."""
    lots = sum(book.get(Lot, lot).live_minor for lot in loan.collateral)
    return lots + sum(book.get(Part, part).amount_minor for part in loan.claims)


def lendable_minor(loan: Loan, book: Book, *, less_minor: int = 0) -> int:
    """What is pledged secures, if so much of it were given back, and what guarantees cover of the principal.

    A fraction of a minor unit is not lent.
    """
    face = collateral_minor(loan, book) - less_minor
    return face * loan.advance_bp // WHOLE_BP + guaranteed_minor([book.get(Guarantee, id) for id in loan.guarantees])


def guaranteed_minor(guarantees: Iterable[Guarantee]) -> int:
    """What guarantees in effect cover of a loan's limit; of several whose shares overlap, the largest cover."""
    covers = [(each.sharing, min(each.covered_minor, each.room_minor)) for each in guarantees if each.is_in_effect]
    joint = max((cover for sharing, cover in covers if sharing == "joint"), default=0)
    return joint + sum(cover for sharing, cover in covers if sharing != "joint")


def note_shortfall(book: Book, id: str | Optional) -> None:
    """Notes that a loan is secured no more, after an event that made its collateral smaller (I-13).

    A margin call is the lender's to make; that it may is worth a note and not a refusal.
    """
    if id is Absent:
        return
    loan = book.get(Loan, id)
    secured = lendable_minor(loan, book)
    if loan.outstanding_minor > secured:
        book.note(f"loan {loan.id}: {loan.outstanding_minor} outstanding, its collateral secures {secured}")
