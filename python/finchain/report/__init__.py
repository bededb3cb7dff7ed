"""What users ask a ledger, answered in typed records out of its state or a replay of its past. Nothing here writes."""

from finchain.report.flows import Flow, Node
from finchain.report.holdings import Holding, HoldingStep, holdings
from finchain.report.positions import Due, Position, Promise, Security, due, positions, promises, security
from finchain.report.postings import Line, Posting, postings
from finchain.report.trace import Trace, Use, trace

__all__ = [
    "Due", "Flow", "Holding", "HoldingStep", "Line", "Node", "Position", "Posting", "Promise", "Security", "Trace",
    "Use", "due", "holdings", "positions", "postings", "promises", "security", "trace",
]  # fmt: skip
