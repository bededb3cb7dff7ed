"""What users ask a ledger, answered in typed records out of its state. Nothing here writes."""

from finchain.report.positions import Due, Position, Promise, Security, due, positions, promises, security

__all__ = ["Due", "Position", "Promise", "Security", "due", "positions", "promises", "security"]
