"""Every instruction that a party can sign, in one place: `from finchain import instructions as do`.

Each is an immutable value whose members stand in the order in which a person would say them. Making one checks
nothing; the rules do, and say what they would have accepted.
"""

from finchain.domain.account import OpenAccount, Payee, SetMandate
from finchain.domain.arithmetic import Rate
from finchain.domain.certificate import AcceptCertificate, ClaimShare, IssueCertificate, RefuseCertificate
from finchain.domain.compensation import (
    AcceptCounterGuarantee,
    AgreeRecovery,
    CompensateLots,
    DemandCompensation,
    FileSuit,
    ReleaseGuarantee,
)
from finchain.domain.contribution import ContributeShare
from finchain.domain.founding import CreateLedger, Founder, SetCheckpointKeys
from finchain.domain.guarantee import OfferGuarantee, PayGuaranteeFee, ReceiveGuaranteeFee
from finchain.domain.key import NewKey
from finchain.domain.loan import (
    AgreeLoan,
    DisburseLoan,
    DrawLoan,
    PledgeLot,
    ReleaseLot,
)
from finchain.domain.overdue import AccelerateLoan, ChargeLoan, WaiveCharge, WriteOffLoan
from finchain.domain.part import (
    AssignReceivable,
    NotifyDebtor,
    PledgeReceivable,
    ReleaseReceivable,
    SettleReceivable,
)
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
from finchain.domain.receivable import CancelReceivable, ConfirmReceivable, RejectReceivable, SubmitReceivable
from finchain.domain.recourse import BuyBackLot, WaiveLot, WriteOffLot
from finchain.domain.repayment import CloseLoan, PrepayLoan, ReceivePrepayment, ReceiveRepayment
from finchain.domain.settlement import DishonourCertificate, PayCertificate
from finchain.domain.trade import LodgeEvidence, SignContract
from finchain.domain.transfer import AcceptSale, AcceptTransfer, OfferSale, OfferTransfer, SettleSale, WithdrawOffer

__all__ = [
    "DEFAULT_POLICY",
    "AccelerateLoan",
    "AcceptCertificate",
    "AcceptCounterGuarantee",
    "AcceptSale",
    "AcceptTransfer",
    "AddKey",
    "AgreeLoan",
    "AgreeRecovery",
    "ApprovePayment",
    "AssignReceivable",
    "BuyBackLot",
    "CancelReceivable",
    "ChargeLoan",
    "ClaimShare",
    "CloseLoan",
    "CompensateLots",
    "ConfirmReceivable",
    "ContributeShare",
    "CreateLedger",
    "DemandCompensation",
    "DisburseLoan",
    "DishonourCertificate",
    "DrawLoan",
    "EndKey",
    "ExpirePayment",
    "FileSuit",
    "Founder",
    "InstructPayment",
    "IssueCertificate",
    "LodgeEvidence",
    "NewKey",
    "NotifyDebtor",
    "OfferGuarantee",
    "OfferSale",
    "OfferTransfer",
    "OpenAccount",
    "Paper",
    "PayCertificate",
    "PayGuaranteeFee",
    "Payee",
    "PledgeLot",
    "PledgeReceivable",
    "PolicyTerms",
    "PrepayLoan",
    "Rate",
    "ReceiveGuaranteeFee",
    "ReceivePrepayment",
    "ReceiveRepayment",
    "RefundPayment",
    "RefuseCertificate",
    "RegisterParty",
    "RejectPayment",
    "RejectReceivable",
    "ReleaseGuarantee",
    "ReleaseLot",
    "ReleaseReceivable",
    "RequestPayment",
    "ReturnPayment",
    "RotateKey",
    "SetCheckpointKeys",
    "SetMandate",
    "SetPolicy",
    "SetRoles",
    "SetThreshold",
    "SettlePayment",
    "SettleReceivable",
    "SettleSale",
    "SignContract",
    "SubmitReceivable",
    "WaiveCharge",
    "WaiveLot",
    "WithdrawOffer",
    "WriteOffLoan",
    "WriteOffLot",
]
