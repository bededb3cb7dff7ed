"""Every instruction that a party can sign, in one place: `from finchain import instructions as do`.

Each is an immutable value whose members stand in the order in which a person would say them. Making one checks
nothing; the rules do, and say what they would have accepted.
"""

from finchain.domain.account import AmendMandate, OpenAccount, Payee, SetMandate
from finchain.domain.amendment import AmendReceivable
from finchain.domain.arithmetic import Rate
from finchain.domain.capacity import Leverage, SetCapacity
from finchain.domain.certificate import AcceptCertificate, ClaimShare, IssueCertificate, RefuseCertificate
from finchain.domain.collateral import PledgeLot, ReleaseLot, ReleaseReceivable, SecureLoan
from finchain.domain.collection import RecoverReceivable, SettleReceivable
from finchain.domain.compensation import (
    AcceptCounterGuarantee,
    AgreeRecovery,
    CompensateLoss,
    DemandCompensation,
    FileSuit,
    ReleaseGuarantee,
)
from finchain.domain.contribution import ContributeShare
from finchain.domain.correction import CancelDraw, ReverseDisbursement, ReverseFee, ReversePayment
from finchain.domain.debts import ReceiveForDebts
from finchain.domain.dispute import DisputeReceivable, ResolveDispute
from finchain.domain.founding import ActivateRulebook, CreateLedger, Founder, Predecessor, SetCheckpointKeys
from finchain.domain.guarantee import OfferGuarantee
from finchain.domain.guarantee_fee import PayGuaranteeFee, ReceiveGuaranteeFee, RefundGuaranteeFee
from finchain.domain.holiday import SetCalendar
from finchain.domain.key import NewKey
from finchain.domain.late import LateTerms, ReceiveLateInterest, SetReferenceRate, WaiveLateInterest
from finchain.domain.loan import AgreeLoan, DisburseLoan, DrawLoan
from finchain.domain.loan_guarantee import ReceiveRecovery, WaiveRecovery
from finchain.domain.overdue import AccelerateLoan, ChargeLoan, WaiveCharge, WriteOffLoan
from finchain.domain.part import (
    AssignReceivable,
    NotifyDebtor,
    PledgeReceivable,
    RegisterPart,
    ReversePart,
)
from finchain.domain.part_offer import AcceptPart, OfferPart, WithdrawPartOffer
from finchain.domain.party import AddKey, EndKey, RegisterParty, RotateKey, SetRoles, SetThreshold
from finchain.domain.payment import (
    ApprovePayment,
    ExpirePayment,
    InstructPayment,
    Paper,
    RefundPayment,
    RejectPayment,
    RequestPayment,
    ReturnPayment,
    SettlePayment,
)
from finchain.domain.policy import DEFAULT_POLICY, PolicyTerms, SetPolicy
from finchain.domain.prospective import SubmitProspective, WithdrawProspective
from finchain.domain.receivable import CancelReceivable, ConfirmReceivable, RejectReceivable, SubmitReceivable
from finchain.domain.recourse import BuyBackLot, CancelCertificate, PayLotEarly, WaiveLot, WriteOffLot
from finchain.domain.reduction import (
    Counter,
    CreditConverted,
    CreditReceivable,
    ReverseReduction,
    SetOffReceivable,
    WriteOffReceivable,
)
from finchain.domain.repayment import CloseLoan, PrepayLoan, ReceivePrepayment, ReceiveRepayment
from finchain.domain.rescheduling import ChangeLoanRate, ExtendLoan, GuaranteePeriod
from finchain.domain.settlement import DishonourCertificate, PayCertificate
from finchain.domain.trade import LodgeEvidence, SignContract
from finchain.domain.transfer import (
    AcceptSale,
    AcceptTransfer,
    OfferSale,
    OfferTransfer,
    ReverseTransfer,
    SettleSale,
    WithdrawOffer,
)

__all__ = [
    "DEFAULT_POLICY",
    "AccelerateLoan",
    "AcceptCertificate",
    "AcceptCounterGuarantee",
    "AcceptPart",
    "AcceptSale",
    "AcceptTransfer",
    "ActivateRulebook",
    "AddKey",
    "AgreeLoan",
    "AgreeRecovery",
    "AmendMandate",
    "AmendReceivable",
    "ApprovePayment",
    "AssignReceivable",
    "BuyBackLot",
    "CancelCertificate",
    "CancelDraw",
    "CancelReceivable",
    "ChangeLoanRate",
    "ChargeLoan",
    "ClaimShare",
    "CloseLoan",
    "CompensateLoss",
    "ConfirmReceivable",
    "ContributeShare",
    "Counter",
    "CreateLedger",
    "CreditConverted",
    "CreditReceivable",
    "DemandCompensation",
    "DisburseLoan",
    "DishonourCertificate",
    "DisputeReceivable",
    "DrawLoan",
    "EndKey",
    "ExpirePayment",
    "ExtendLoan",
    "FileSuit",
    "Founder",
    "GuaranteePeriod",
    "InstructPayment",
    "IssueCertificate",
    "LateTerms",
    "Leverage",
    "LodgeEvidence",
    "NewKey",
    "NotifyDebtor",
    "OfferGuarantee",
    "OfferPart",
    "OfferSale",
    "OfferTransfer",
    "OpenAccount",
    "Paper",
    "PayCertificate",
    "PayGuaranteeFee",
    "PayLotEarly",
    "Payee",
    "PledgeLot",
    "PledgeReceivable",
    "PolicyTerms",
    "Predecessor",
    "PrepayLoan",
    "Rate",
    "ReceiveForDebts",
    "ReceiveGuaranteeFee",
    "ReceiveLateInterest",
    "ReceivePrepayment",
    "ReceiveRecovery",
    "ReceiveRepayment",
    "RecoverReceivable",
    "RefundGuaranteeFee",
    "RefundPayment",
    "RefuseCertificate",
    "RegisterPart",
    "RegisterParty",
    "RejectPayment",
    "RejectReceivable",
    "ReleaseGuarantee",
    "ReleaseLot",
    "ReleaseReceivable",
    "RequestPayment",
    "ResolveDispute",
    "ReturnPayment",
    "ReverseDisbursement",
    "ReverseFee",
    "ReversePart",
    "ReversePayment",
    "ReverseReduction",
    "ReverseTransfer",
    "RotateKey",
    "SecureLoan",
    "SetCalendar",
    "SetCapacity",
    "SetCheckpointKeys",
    "SetMandate",
    "SetOffReceivable",
    "SetPolicy",
    "SetReferenceRate",
    "SetRoles",
    "SetThreshold",
    "SettlePayment",
    "SettleReceivable",
    "SettleSale",
    "SignContract",
    "SubmitProspective",
    "SubmitReceivable",
    "WaiveCharge",
    "WaiveLateInterest",
    "WaiveLot",
    "WaiveRecovery",
    "WithdrawOffer",
    "WithdrawPartOffer",
    "WithdrawProspective",
    "WriteOffLoan",
    "WriteOffLot",
    "WriteOffReceivable",
]
