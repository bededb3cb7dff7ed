"""Every instruction that a party can sign, in one place: `from finchain import instructions as do`.

Each is an immutable value whose members stand in the order in which a person would say them. Making one checks
nothing; the rules do, and say what they would have accepted.
"""

from finchain.domain.founding import CreateLedger, Founder, SetCheckpointKeys
from finchain.domain.key import NewKey
from finchain.domain.part import (
    AssignReceivable,
    NotifyDebtor,
    PledgeReceivable,
    ReleaseReceivable,
    SettleReceivable,
)
from finchain.domain.party import AddKey, EndKey, RegisterParty, RotateKey, SetRoles, SetThreshold
from finchain.domain.policy import DEFAULT_POLICY, PolicyTerms, SetPolicy
from finchain.domain.receivable import CancelReceivable, ConfirmReceivable, RejectReceivable, SubmitReceivable
from finchain.domain.trade import LodgeEvidence, SignContract

__all__ = [
    "DEFAULT_POLICY",
    "AddKey",
    "AssignReceivable",
    "CancelReceivable",
    "ConfirmReceivable",
    "CreateLedger",
    "EndKey",
    "Founder",
    "LodgeEvidence",
    "NewKey",
    "NotifyDebtor",
    "PledgeReceivable",
    "PolicyTerms",
    "RegisterParty",
    "RejectReceivable",
    "ReleaseReceivable",
    "RotateKey",
    "SetCheckpointKeys",
    "SetPolicy",
    "SetRoles",
    "SetThreshold",
    "SettleReceivable",
    "SignContract",
    "SubmitReceivable",
]
