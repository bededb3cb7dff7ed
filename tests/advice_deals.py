"""Advice that somebody follows first, of a deal's instruments: claims, certificates, guarantees, loans, payments."""

from __future__ import annotations

from datetime import date, timedelta

from advising import Act, advised, story
from book import MemoryBook, digest, town
from finchain import instructions as do
from finchain.domain.late import LateTerms
from finchain.domain.loan import BALANCES_MAX
from finchain.domain.receivable import OFFERS_MAX
from stories import (
    ACCOUNT,
    GUARANTEE,
    ISSUE,
    ISSUED,
    LOAN,
    MANDATE,
    MATURITY,
    PAYEE,
    A,
    agreed,
    apply,
    but,
    confirmed,
    held,
    lent,
)  # fmt: skip
from test_debts import borrowed

DUE = date(2026, 5, 1)
"""When the loans of `test_debts.borrowed` are due."""

OFFER = do.OfferTransfer("C 1", "tier2", 36_000_000, digest("trade"), recourse=False)
SALE = do.OfferSale("C 1", "factor", A, A, do.Rate(0, 1), "act/360", ISSUED, recourse=False)
PRICE = do.SettleSale("C 1", A, "price", digest("price"))
MONEY = do.PayCertificate("C", A, "money", digest("money"))
PART = do.OfferPart("P", "R", "factor", "assigned", 10)
REQUEST = do.RequestPayment("pay", "acc", "boards", 1_000, "goods", PAYEE, [do.Paper("invoice", digest("inv"))])


# --- certificates
@story("transfer: let ‹› offer it first")
def _() -> str:
    return advised(held(), do.AcceptTransfer("C 1"), {"tier2"}, (OFFER, {"shop"}))


@story("transfer: ask ‹› for a new one")
def _() -> str:
    ledger = held()
    apply(ledger, but(OFFER, until=ISSUED), by=["shop"])
    ledger.advance(1)
    return advised(ledger, do.AcceptTransfer("C 1"), {"tier2"}, (OFFER, {"shop"}))


@story("transfer: let ‹› accept the sale first")
def _() -> str:
    ledger = held()
    apply(ledger, SALE, by=["shop"])
    return advised(ledger, PRICE, {"clearer"}, (do.AcceptSale("C 1"), {"factor"}))


@story("transfer: state a lower rate")
def _() -> str:
    high = but(SALE, discount_rate=do.Rate(10, 1))
    return advised(held(), high, {"shop"}, instead=SALE)


@story("settlement: let ‹› accept it first")
def _() -> str:
    ledger = confirmed()
    apply(ledger, ISSUE, by=["core"])
    return advised(ledger, MONEY, {"clearer"}, (do.AcceptCertificate("C"), {"shop"}))


@story("certificate: let this one be refused, and ask the issuer for a new one")
def _() -> str:
    ledger = confirmed()
    apply(ledger, but(ISSUE, until=ISSUED), by=["core"])
    ledger.advance(1)
    acts: list[Act] = [(do.RefuseCertificate("C"), {"shop"}), (but(ISSUE, id="D"), {"core"})]
    return advised(ledger, do.AcceptCertificate("C"), {"shop"}, *acts, instead=do.AcceptCertificate("D"))


@story("certificate: name 1 to ‹› claims")
def _() -> str:
    return advised(confirmed(), but(ISSUE, claims=[]), {"core"}, instead=ISSUE)


@story("certificate: name claims of ‹› on ‹› in ‹›")
def _() -> str:
    ledger = confirmed()
    other = do.SubmitReceivable("R2", "tier2", "core", 10, "CNY", MATURITY, "INV-8")
    apply(ledger, other, by=["tier2"])
    return advised(ledger, but(ISSUE, claims=[do.ClaimShare("R2", 10)]), {"core"}, instead=ISSUE)


@story("recourse: let it be dishonoured first")
def _() -> str:
    ledger = held()
    apply(ledger, but(OFFER, recourse=True), by=["shop"])
    apply(ledger, do.AcceptTransfer("C 1"), by=["tier2"])
    back = do.BuyBackLot("C 1", "shop", 36_000_000, "recourse", "back", digest("back"))
    acts: list[Act] = [MATURITY + timedelta(days=1), (do.DishonourCertificate("C", "clearer"), {"clearer"})]
    return advised(ledger, back, {"shop", "tier2"}, *acts)


# --- claims
@story("amendment: state a due date or a contract")
def _() -> str:
    later = do.AmendReceivable("R", due=MATURITY + timedelta(days=9))
    return advised(confirmed(), do.AmendReceivable("R"), {"shop", "core"}, instead=later)


@story("part_offer: let ‹› offer it anew")
def _() -> str:
    ledger = confirmed()
    apply(ledger, but(PART, until=ISSUED), by=["shop"])
    ledger.advance(1)
    return advised(ledger, do.AcceptPart("P", "R"), {"factor"}, (PART, {"shop"}))


# --- guarantees
@story("guarantee: ask the guarantor for a new offer")
def _() -> str:
    ledger = confirmed()
    apply(ledger, GUARANTEE, by=["guarantor"])
    ledger.advance(1)
    new = but(GUARANTEE, id="G2", until=ISSUED + timedelta(days=1))
    return advised(ledger, but(ISSUE, guarantees=["G"]), {"core"}, (new, {"guarantor"}),
                   instead=but(ISSUE, guarantees=["G2"]))  # fmt: skip


@story("guarantee: ask for a period that ends after ‹›")
def _() -> str:
    ledger = confirmed()
    apply(ledger, but(GUARANTEE, period_end=MATURITY), by=["guarantor"])
    return advised(ledger, but(ISSUE, guarantees=["G"]), {"core"}, (but(GUARANTEE, id="G2"), {"guarantor"}),
                   instead=but(ISSUE, guarantees=["G2"]))  # fmt: skip


def guaranteed(accepted: bool = True) -> tuple[MemoryBook, do.PayGuaranteeFee]:
    """A guaranteed certificate, and the order of the guarantee's fee: 1 per cent a year of 92.8 m for 180 days."""
    ledger = confirmed()
    apply(ledger, GUARANTEE, by=["guarantor"])
    apply(ledger, but(ISSUE, guarantees=["G"]), by=["core"])
    if accepted:
        apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    return ledger, do.PayGuaranteeFee("G", 464_000)


@story("guarantee_fee: let the creditor accept the guarantee first; a fee is owed from then on")
def _() -> str:
    ledger, fee = guaranteed(accepted=False)
    return advised(ledger, fee, {"core"}, (do.AcceptCertificate("C"), {"shop"}))


@story("guarantee_fee: let ‹› order it first")
def _() -> str:
    ledger, fee = guaranteed()
    came = do.ReceiveGuaranteeFee("G", fee.amount_minor, "fee", digest("fee"))
    return advised(ledger, came, {"guarantor"}, (fee, {"core"}))


# --- loans and payments
@story("repayment: let ‹› give notice first, ‹› days before")
def _() -> str:
    money = do.ReceivePrepayment("L", 1_000, "early", digest("early"))
    return advised(lent(), money, {"bank"}, (do.PrepayLoan("L", 1_000), {"shop"}))


@story("payment: have the mandate's end set later, or set a new mandate")
def _() -> str:
    ledger = lent()
    end = do.AmendMandate("acc", "boards", 30_000_000, 20_000_000, ledger.today - timedelta(days=1), ["invoice"])
    apply(ledger, end, by=["shop", "bank"])
    return advised(ledger, REQUEST, {"shop"}, (but(end, end=MATURITY), {"shop", "bank"}))


@story("payment: pay ‹› for ‹›, or have the change signed by all controllers")
def _() -> str:
    return advised(lent(), but(REQUEST, category="labour"), {"shop"}, instead=REQUEST)


@story("payment: this needs a payment that is ‹›")
def _() -> str:
    ledger = lent()
    apply(ledger, REQUEST, by=["shop"])
    return advised(ledger, do.InstructPayment("pay"), {"bank"}, (do.ApprovePayment("pay"), {"bank"}))


@story("payment: expire it and request another")
def _() -> str:
    ledger = lent()
    apply(ledger, REQUEST, by=["shop"])
    ledger.advance(60)
    acts: list[Act] = [(do.ExpirePayment("pay"), {"shop"}), (but(REQUEST, id="pay-2"), {"shop"})]
    return advised(ledger, do.ApprovePayment("pay"), {"bank"}, *acts, instead=do.ApprovePayment("pay-2"))


@story("payment: ask for one payment for each invoice")
def _() -> str:
    two = [do.Paper("invoice", digest(each), 1_000) for each in "ab"]
    return advised(lent(), but(REQUEST, evidence=two), {"shop"}, instead=but(REQUEST, evidence=two[:1]))


@story("payment: let ‹› and ‹› sign a mandate for this payee first")
def _() -> str:
    ledger = lent()
    later = ledger.today + timedelta(days=3)
    acts: list[Act] = [(but(MANDATE, name="more", start=later), {"shop", "bank"}), later]
    return advised(ledger, but(REQUEST, mandate="more"), {"shop"}, *acts)


@story("repayment: repay it first; interest that was not posted is due at maturity")
def _() -> str:
    ledger = agreed()
    apply(ledger, do.DrawLoan("L", "one", 100), by=["shop", "bank"])
    return advised(ledger, do.CloseLoan("L"), {"shop"}, (do.CancelDraw("L", "one"), {"shop", "bank"}))


@story("correction: let it be repaid, or take the posting back where it was an error")
def _() -> str:
    ledger = lent()
    back = do.ReverseDisbursement("L", "one", "OUT-one", "not paid out")
    return advised(ledger, do.CancelDraw("L", "one"), {"shop", "bank"}, (back, {"bank"}))


@story("transfer: let the pledge be released, or the offer end, first")
def _() -> str:
    ledger = held()
    apply(ledger, OFFER, by=["shop"])
    apply(ledger, do.AcceptTransfer("C 1"), by=["tier2"])
    apply(ledger, but(OFFER, to="factor"), by=["tier2"])
    back = do.ReverseTransfer("C 1")
    return advised(ledger, back, {"shop", "tier2"}, (do.WithdrawOffer("C 1"), {"tier2"}))


@story("recourse: let the pledge be released, or the offer end, first")
def _() -> str:
    ledger = held()
    apply(ledger, OFFER, by=["shop"])
    early = do.PayLotEarly("C 1", 36_000_000, "early", digest("early"))
    return advised(ledger, early, {"shop", "clearer"}, (do.WithdrawOffer("C 1"), {"shop"}))


@story("part_offer: withdraw one, or wait until one is over")
def _() -> str:
    ledger = confirmed()
    for number in range(OFFERS_MAX):
        apply(ledger, but(PART, id=f"P-{number}"), by=["shop"])
    return advised(ledger, PART, {"shop"}, (do.WithdrawPartOffer("P-0", "R"), {"shop"}))


@story("reduction: it must have been there on ‹› and be due by ‹›, or be of the claim's contract")
def _() -> str:
    ledger = confirmed()
    apply(ledger, PART, by=["shop"])
    apply(ledger, do.AcceptPart("P", "R"), by=["factor"])
    counter = do.Counter(digest("counter"), 5, ISSUED, MATURITY + timedelta(days=1))
    order = do.SetOffReceivable("S", "R", 5, counter, part="P")
    return advised(
        ledger, order, {"core", "factor", "shop"}, instead=but(order, counterclaim=but(counter, due=MATURITY))
    )


@story("reduction: state it as before; nothing was overwritten")
def _() -> str:
    ledger = confirmed()
    counter = do.Counter(digest("counter"), 5, ISSUED, MATURITY)
    order = do.SetOffReceivable("S", "R", 2, counter)
    apply(ledger, order, by=["core", "shop"])
    other = but(order, id="T", counterclaim=but(counter, amount_minor=6))
    return advised(ledger, other, {"core", "shop"}, instead=but(order, id="T"))


@story("rates: state a smaller limit or lower rates")
def _() -> str:
    ledger = held()
    apply(ledger, ACCOUNT, by=["shop", "bank"])
    return advised(ledger, but(LOAN, limit_minor=2**53 - 1), {"shop", "bank"}, instead=LOAN)


@story("compensation: record the suit first, by ‹›")
def _() -> str:
    ledger = unpaid("general")
    demand = do.DemandCompensation("G", "C 1", 1, digest("court"))
    return advised(ledger, demand, {"shop"}, (do.FileSuit("G", "C 1", digest("suit")), {"shop"}))


@story("compensation: let the default come first, and name a ‹› that it covers and that is not paid")
def _() -> str:
    ledger, _ = guaranteed()
    acts: list[Act] = [MATURITY, (do.DishonourCertificate("C", "clearer"), {"clearer"})]
    return advised(ledger, do.DemandCompensation("G", "C 1", 1), {"shop"}, *acts)


@story("compensation: let ‹› take effect first")
def _() -> str:
    ledger, _ = guaranteed(accepted=False)
    default: list[Act] = [MATURITY, (do.DishonourCertificate("C", "clearer"), {"clearer"})]
    return advised(
        ledger, do.DemandCompensation("G", "C 1", 1), {"shop"}, (do.AcceptCertificate("C"), {"shop"}), *default
    )


def unpaid(liability: str) -> MemoryBook:
    """A guaranteed certificate that the debtor has not paid on its day."""
    ledger = confirmed()
    apply(ledger, but(GUARANTEE, liability=liability), by=["guarantor"])
    apply(ledger, but(ISSUE, guarantees=["G"]), by=["core"])
    apply(ledger, do.AcceptCertificate("C"), by=["shop"])
    ledger.move_to(MATURITY)
    apply(ledger, do.DishonourCertificate("C", "clearer"), by=["clearer"])
    return ledger


def two_offers(sharing: str, first_bp: int) -> MemoryBook:
    """A second guarantor's offer of the other half, several or joint, beside a first one."""
    ledger = confirmed()
    ledger.register("other", "guarantor")
    apply(ledger, but(GUARANTEE, sharing=sharing, coverage_bp=first_bp), by=["guarantor"])
    apply(ledger, but(GUARANTEE, id="H", guarantor="other", sharing="several", coverage_bp=5_000), by=["other"])
    return ledger


BOTH = but(ISSUE, guarantees=["G", "H"])
ANEW = but(GUARANTEE, id="G2", sharing="several", coverage_bp=5_000)


@story("guarantee: ask them for offers that state the same sharing")
def _() -> str:
    ledger = two_offers("joint", 5_000)
    return advised(ledger, BOTH, {"core"}, (ANEW, {"guarantor"}), instead=but(BOTH, guarantees=["G2", "H"]))


@story("guarantee: let several shares sum to ‹› at most")
def _() -> str:
    ledger = two_offers("several", 5_001)
    return advised(ledger, BOTH, {"core"}, (ANEW, {"guarantor"}), instead=but(BOTH, guarantees=["G2", "H"]))


def two_claims() -> tuple[MemoryBook, do.ReceiveForDebts]:
    """Two confirmed claims of the shop on one customer, and a payment of both."""
    ledger = confirmed(100)
    apply(ledger, do.SubmitReceivable("R2", "shop", "core", 100, "CNY", MATURITY, "INV-8"), by=["shop"])
    apply(ledger, do.ConfirmReceivable("R2", 100), by=["core"])
    return ledger, do.ReceiveForDebts("core", "shop", 150, [], ["R", "R2"], [], "both", digest("both"))


@story("debts: choose among the debts that are named")
def _() -> str:
    ledger, money = two_claims()
    return advised(ledger, but(money, chosen=["R9"]), {"shop", "core"}, instead=but(money, chosen=["R2"]))


@story("debts: name 2 to ‹›, each once; one is paid by itself")
def _() -> str:
    ledger, money = two_claims()
    return advised(ledger, but(money, receivables=["R"]), {"shop"}, instead=money)


@story("debts: name debts of ‹› to ‹›, all in ‹›")
def _() -> str:
    ledger, money = two_claims()
    return advised(ledger, but(money, debtor="tier2"), {"shop", "core"}, instead=money)


@story("debts: name loans that are due; a prepayment needs its notice")
def _() -> str:
    ledger = borrowed(DUE - timedelta(days=1))
    early = do.ReceiveForDebts("shop", "bank", 100, ["L-1", "L-2"], [], [], "IN-1", digest("in"))
    return advised(ledger, early, {"bank"}, DUE)


@story("loan: wait until interest is posted; ‹› changes are the most")
def _() -> str:
    """Each prepayment changes the balance, until the loan is due and a repayment posts its interest."""
    ledger = lent()
    for number in range(BALANCES_MAX - 1):
        ledger.advance(1)
        apply(ledger, do.PrepayLoan("L", 1_000), by=["shop"])
        money = do.ReceivePrepayment("L", 1_000, f"IN-{number}", digest("prepayment"))
        apply(ledger, money, by=["bank"])
    ledger.advance(1)
    apply(ledger, do.PrepayLoan("L", 1_000), by=["shop"])
    repaid = do.ReceiveRepayment("L", 1_000, "back", digest("back"))
    return advised(ledger, but(money, reference="IN-last"), {"bank"}, MATURITY, instead=repaid)


@story("late: state a smaller payment: it earns less")
def _() -> str:
    """Five and a half years late, at five ten-thousandths a day, the interest would be more than the claim."""
    ledger, most = town(), 2**53 - 1
    claim = do.SubmitReceivable("R", "shop", "core", most, "CNY", ISSUED, "INV-7", late=LateTerms())
    apply(ledger, claim, by=["shop"])
    apply(ledger, do.ConfirmReceivable("R", most), by=["core"])
    ledger.move_to(ISSUED + timedelta(days=2_001))
    money = do.SettleReceivable("R", most, "shop", "paid", digest("paid"))
    return advised(ledger, money, {"shop"}, instead=but(money, amount_minor=most // 2))


@story("cash_fact: name it as it was posted; what repaid a loan, or several debts, stays")
def _() -> str:
    ledger = confirmed(100)
    apply(ledger, do.SettleReceivable("R", 100, "shop", "paid", digest("paid")), by=["shop"])
    back = do.ReversePayment("R", 100, "shop", "other", "an error")
    return advised(ledger, back, {"shop"}, instead=but(back, reference="paid"))
