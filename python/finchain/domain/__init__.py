"""The rules of the ledger, one file per instrument: its record, its instructions, its rules.

A file imports only from those before it: rule, check, arithmetic, party, policy, cash_fact, trade, receivable,
and then whatever is built on receivables. `rulebook` gathers them.
"""
