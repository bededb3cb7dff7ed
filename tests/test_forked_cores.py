"""A forked child has none of the threads of its parent: what goes to all cores goes to threads of the child's own."""

from __future__ import annotations

from pathlib import Path

from processes import python
from real_ledger import found

SCRIPT = """
import os, shutil, signal, sys
from pathlib import Path
import finchain as fc
from finchain import _core
from real_ledger import claim, reopen, signed

home = Path(sys.argv[1])
claims = {}
for suite in ("ed25519", "p256", "sm2", "ml-dsa-44"):
    own = fc.Key.generate(suite)
    claims[suite] = [(own.public_key, own.sign(b"m"), b"m")] * 100

def verified():
    for suite, batch in claims.items():
        assert _core.verify_batch(batch, suite=suite) == [None] * 100

def sent():
    with reopen(home) as ledger:
        lane = f"from-{ledger.height}"
        texts = [signed(ledger, claim(f"{lane}-{n}"), lane=lane, sequence=n).to_bytes() for n in range(1, 200)]
        assert {outcome.status for outcome in ledger.submit_all(texts)} == {"applied"}
        receipts = [bytes(ledger.prove(fc.Party, "shop"))] * 100
        judged = fc.verify_all(receipts, trust=ledger.verifier_key, unwitnessed=True)
        assert all(isinstance(each, fc.Verified) for each in judged)

def read():
    with fc.open(home / "real.finchain", read_only=True) as reader:
        reader.verify()

def made_anew():
    shutil.rmtree(home / "real.finchain" / "index")
    reopen(home).close()

def everything():
    for use in (verified, sent, read, made_anew, lambda: fc.check(home / "real.finchain")):
        use()

def in_a_child(use):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        code = 3
        try:
            use()
            code = 0
        finally:
            os._exit(code)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended == 0, f"the child ended with {ended}; -14 is the alarm, after waiting for a thread that is not there"

everything()
in_a_child(everything)
in_a_child(lambda: (everything(), in_a_child(everything)))
everything()
print("done")
"""


def test_all_that_goes_to_all_cores_does_so_in_a_child_and_in_a_child_of_it(tmp_path: Path) -> None:
    found(tmp_path).close()
    process = python(SCRIPT, tmp_path)
    told, said = process.communicate(timeout=300)
    assert (told, process.returncode) == ("done\n", 0), said
