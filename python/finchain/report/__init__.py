"""What users ask a ledger, answered in typed records out of its state or a replay of its past. Nothing here writes."""

from finchain.report.holdings import Holding, HoldingStep, holdings
from finchain.report.positions import Due, Position, Promise, Security, due, positions, promises, security

__all__ = [
    "Due", "Holding", "HoldingStep", "Position", "Promise", "Security", "due", "holdings", "positions", "promises",
    "security",
]  # fmt: skip
