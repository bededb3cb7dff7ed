"""Exit codes of the command, in the steps of job schedulers: `docs/operating.md` section 3 says what to do at each."""

DONE = 0
NOT_ALL = 4
NOTHING_COMMITTED = 8
TAMPERED = 12
FAILED = 16
BUSY = 20
