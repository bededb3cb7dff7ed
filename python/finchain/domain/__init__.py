"""The rules of the ledger, one file per instrument: its record, its instructions, its rules.

A file imports only from those before it: rule, check, arithmetic, key, party, policy, founding, cash_fact, trade,
fingerprint, receivable, part, and then whatever is built on receivables. `rulebook` gathers them.
"""
