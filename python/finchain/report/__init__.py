"""What users ask a ledger, answered in typed records out of its state. Nothing here writes."""

from finchain.report.positions import Position, Security, positions, security

__all__ = ["Position", "Security", "positions", "security"]
