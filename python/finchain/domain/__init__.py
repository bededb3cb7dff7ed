"""The rules of the ledger, one file per instrument: its record, its instructions, its rules.

A file imports only from those before it in `rulebook.INSTRUMENTS`, and from the ground below them: `rule`, `check`,
`arithmetic` and `accrual`. `invariants` says once more, over all records together, what the rules keep by themselves,
and `totals` shows it as one table.
"""
