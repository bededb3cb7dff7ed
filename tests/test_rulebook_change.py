"""A ledger goes on under another rulebook: changed rules, old contracts on old terms, and a bank's own instrument."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

import finchain as fc
from conftest import REPOSITORY
from finchain import errors
from finchain import instructions as do
from finchain.demo_deal import PARTIES, START, deal
from finchain.domain.founding import LedgerRecord
from finchain.domain.loan import Loan
from real_ledger import claim, found, key, reopen, shape, signed


def example(name: str) -> ModuleType:
    """A file of `examples/`, as a bank would import a file of its own; the same module each time."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, REPOSITORY / "examples" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def smallest_draw() -> fc.Rulebook:
    return fc.RULEBOOK_1.extended(2, replacing={do.DrawLoan: example("smallest_draw").RULE})


def insurance() -> fc.Rulebook:
    return fc.RULEBOOK_1.extended(1_001, instruments=[example("credit_insurance")])


def activate(ledger: fc.Ledger, rulebook: fc.Rulebook) -> fc.Outcome:
    return ledger.submit(do.ActivateRulebook(rulebook.number, rulebook.digest), by=key("operator"))


def lent(home: Path, clock: fc.SimulatedClock, rulebooks: list[fc.Rulebook]) -> fc.Ledger:
    """A ledger of the worked deal up to the agreed loan."""
    path, keys, operator = home / "deal.finchain", home / "keys", key("operator")
    fc.create(path, name="example.com/deal", keys=keys, operator=operator, clock=clock).close()
    ledger = fc.open(path, keys=keys, operator=operator, clock=clock, rulebooks=rulebooks)
    for party in PARTIES:
        ledger.register(party.id, party.name, roles=party.roles, key=key(party.id))
    for step in deal():
        clock.move_to(step.day)
        ledger.submit(list(step.instructions), by=[key(name) for name in step.by])
        if ledger.look(Loan, "loan-1") is not None:
            return ledger
    raise AssertionError("the deal agrees no loan")


def another_loan(ledger: fc.Ledger) -> do.AgreeLoan:
    """The loan of the deal once more, under another id."""
    (step,) = (step for step in deal() if any(isinstance(each, do.AgreeLoan) for each in step.instructions))
    (agreed,) = (each for each in step.instructions if isinstance(each, do.AgreeLoan))
    return msgspec.structs.replace(agreed, id="loan-2")


def test_old_contracts_keep_old_terms_and_replay_equals_live(tmp_path: Path) -> None:
    clock, two = fc.SimulatedClock(START), smallest_draw()
    shop_and_bank = [key("shop"), key("bank")]
    with lent(tmp_path, clock, [two]) as ledger:
        prepared = ledger.prepare(do.DrawLoan("loan-1", "late", 50), by=["shop", "bank"])
        assert activate(ledger, two).status == "applied"
        assert (ledger.rulebook, ledger.get(LedgerRecord, "ledger").rulebook_digest) == (2, two.digest)
        assert ledger.submit(do.DrawLoan("loan-1", "small", 50), by=shop_and_bank).status == "applied"
        ledger.submit(another_loan(ledger), by=shop_and_bank)
        assert [ledger.get(Loan, id).rulebook for id in ("loan-1", "loan-2")] == [1, 2]
        small, large = do.DrawLoan("loan-2", "small", 99_999), do.DrawLoan("loan-2", "large", 100_000)
        for order, code in ((small, "loan.smallest_draw"), (large, "loan.over_advance")):
            with pytest.raises(fc.Refused) as refusal:
                ledger.submit(order, by=shop_and_bank)
            assert refusal.value.code == code
            explained = ledger.explain(order, by=["shop", "bank"]).refusal
            assert explained is not None and explained.code == code
        for each in shop_and_bank:
            prepared.sign(each)
        with pytest.raises(errors.WrongRulebook):
            ledger.submit(prepared)
        before, path = shape(ledger), ledger.path
    shutil.rmtree(path / "index")
    with fc.open(path, keys=tmp_path / "keys", rulebooks=[two]) as ledger:
        assert ledger.recovery["replay_from"] == 0
        assert shape(ledger) == before
    assert fc.check(path, rulebooks=[two]).state_root == before[1].hex()
    with fc.open(path, keys=tmp_path / "keys", rulebooks=[two]) as ledger:
        assert shape(ledger) == before, "from the index as well"


def test_a_ledger_is_not_opened_without_its_rulebook(tmp_path: Path) -> None:
    clock, two = fc.SimulatedClock(START), smallest_draw()
    with lent(tmp_path, clock, [two]) as ledger:
        activate(ledger, two)
        path = ledger.path
    with pytest.raises(fc.ConfigError, match="rulebook 2"):
        fc.open(path, keys=tmp_path / "keys")
    with pytest.raises(fc.ConfigError, match="rulebook 2"):
        fc.check(path)
    other = fc.RULEBOOK_1.extended(2, instruments=[example("credit_insurance")])
    with pytest.raises(fc.ConfigError, match="digest"):
        fc.open(path, keys=tmp_path / "keys", rulebooks=[other])


def test_a_rulebook_that_is_not_here_is_not_put_in_force(tmp_path: Path) -> None:
    """Else the ledger could not go on; and a number that does not rise, or a wrong signer, is refused."""
    with found(tmp_path) as ledger:
        before = shape(ledger)
        with pytest.raises(errors.WrongRulebook, match="rulebook 2"):
            ledger.submit(do.ActivateRulebook(2, "ab" * 32), by=key("operator"))
        assert shape(ledger) == before
        for order, signer, code in (
            (do.ActivateRulebook(1, fc.RULEBOOK_1.digest), "operator", "rulebook.number"),
            (do.ActivateRulebook(2**32, fc.RULEBOOK_1.digest), "operator", "rulebook.number"),
            (do.ActivateRulebook(2, "ab"), "operator", "rulebook.digest"),
            (do.ActivateRulebook(2, "ab" * 32), "shop", "ledger.not_signed"),
        ):
            with pytest.raises(fc.Refused) as refusal:
                ledger.submit(order, by=key(signer))
            assert refusal.value.code == code
        assert ledger.submit(claim("r-1"), by=key("shop")).status == "applied"


def test_one_stream_goes_over_from_one_rulebook_to_the_next(tmp_path: Path) -> None:
    """What was signed for the new one is executed by it, within one chunk; what was signed for the old one is not."""
    bank = insurance()
    found(tmp_path).close()
    with fc.open(
        tmp_path / "real.finchain", keys=tmp_path / "keys", operator=key("operator"), rulebooks=[bank]
    ) as ledger:
        order = do.ActivateRulebook(bank.number, bank.digest)
        first = ledger.prepare(order, by=["operator"]).sign(key("operator"))
        offer = example("credit_insurance").OfferCover("cover-1", "r-1", "shop", 1, 1, START)
        stream = [
            signed(ledger, claim("r-1"), lane="a"),
            first,
            signed(ledger, claim("r-2"), lane="b"),
            signed(ledger, claim("r-3"), lane="c", rulebook=bank.number),
            signed(ledger, offer, lane="d", rulebook=bank.number),
        ]
        outcomes = list(ledger.submit_all(stream))
        assert [outcome.status for outcome in outcomes] == ["applied", "applied", "rejected", "applied", "rejected"]
        assert isinstance(outcomes[2].error, errors.WrongRulebook)
        # Its spelling was judged before the rulebook that knows it was in force; nothing is lost, it is sent again.
        assert isinstance(outcomes[4].error, errors.Malformed)
        (again,) = ledger.submit_all([stream[4]])
        assert again.refused == ((0, "cover.wrong_role"),)


def test_a_bank_adds_an_instrument_of_its_own(tmp_path: Path) -> None:
    bank, module = insurance(), example("credit_insurance")
    assert bank.digest != fc.RULEBOOK_1.digest
    found(tmp_path).close()
    path, keys = tmp_path / "real.finchain", tmp_path / "keys"
    with fc.open(path, keys=keys, operator=key("operator"), rulebooks=[bank]) as ledger:
        ledger.register("insurer", "Sea and Land", roles=["guarantor"], key=key("insurer"))
        offer = module.OfferCover("cover-1", "r-1", "insurer", 9_000, 60_000, START)
        with pytest.raises(errors.Malformed):
            ledger.submit(offer, by=key("insurer"))
        activate(ledger, bank)
        ledger.submit(claim("r-1", 125_000), by=key("shop"))
        ledger.submit(do.ConfirmReceivable("r-1", 60_000), by=key("core"))
        for changes, code in (
            ({"limit_minor": 60_001}, "cover.over_confirmed"),
            ({"share_bp": 9_001}, "cover.share"),
            ({"share_bp": 0}, "cover.share"),
        ):
            with pytest.raises(fc.Refused) as refusal:
                ledger.submit(msgspec.structs.replace(offer, **changes), by=key("insurer"))
            assert refusal.value.code == code
        ledger.submit(offer, by=key("insurer"))
        ledger.submit(module.AcceptCover("cover-1"), by=key("shop"))
        assert str(ledger.get(module.Cover, "cover-1")).startswith("cover-1 in force: insurer covers 9000 bp of r-1")
        steps = ledger.history(module.Cover, "cover-1")
        assert [step.by for step in steps] == [("insurer",), ("shop",)]
        verified = fc.verify(ledger.prove(module.Cover, "cover-1"), trust=ledger.verifier_key, unwitnessed=True)
        assert verified.record["accepted"] is True, "whoever has not the file sees plain JSON"
        state = ledger.state_root.hex()
    assert fc.check(path, rulebooks=[bank]).state_root == state


def test_a_ledger_is_founded_under_a_rulebook_of_ones_own(tmp_path: Path) -> None:
    bank = insurance()
    with fc.create(tmp_path / "own", name="example.com/own", keys=tmp_path / "keys", rulebook=bank) as ledger:
        assert ledger.rulebook == bank.number
        state = ledger.state_root.hex()
    assert fc.check(tmp_path / "own", rulebooks=[bank]).state_root == state
    with pytest.raises(fc.ConfigError, match=str(bank.number)):
        fc.open(tmp_path / "own", keys=tmp_path / "keys")


def test_rulebooks_follow_each_other_and_replace_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(fc.ConfigError, match="cannot follow"):
        fc.RULEBOOK_1.extended(1)
    with pytest.raises(fc.ConfigError, match="no rule for OfferCover"):
        fc.RULEBOOK_1.extended(2, replacing={example("credit_insurance").OfferCover: lambda order, book: None})
    found(tmp_path).close()
    with pytest.raises(fc.ConfigError, match="two rulebooks"):
        fc.open(tmp_path / "real.finchain", keys=tmp_path / "keys", rulebooks=[smallest_draw(), insurance_as_two()])
    with reopen(tmp_path) as ledger:
        assert ledger.rulebook == 1


def insurance_as_two() -> fc.Rulebook:
    return fc.RULEBOOK_1.extended(2, instruments=[example("credit_insurance")])
