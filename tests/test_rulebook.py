"""The rulebook is complete: every instruction has a rule, a public name, and one spelling in JSON."""

from __future__ import annotations

import ast
import inspect
import re
import typing

import msgspec
import pytest

from book import new_ledger
from finchain import instructions
from finchain.domain import rulebook
from finchain.domain.rule import Instruction, Record, located
from finchain.errors import Refused


def public_instructions() -> set[type[Instruction]]:
    named = (getattr(instructions, name) for name in instructions.__all__)
    return {each for each in named if isinstance(each, type) and issubclass(each, Instruction)}


def test_every_instruction_has_a_rule_and_a_public_name() -> None:
    assert public_instructions() == set(rulebook.RULEBOOK_1.rules)
    assert set(typing.get_args(rulebook.RULEBOOK_1.instructions)) == set(rulebook.RULEBOOK_1.rules)


def test_tags_are_kind_and_verb_and_none_twice() -> None:
    tags = [str(each.__struct_config__.tag) for each in rulebook.RULEBOOK_1.rules]
    assert len(set(tags)) == len(tags)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*", tag) for tag in tags), tags


def test_instructions_and_records_have_no_hidden_defaults() -> None:
    """An absent member is a value of its own: what is not written is not there (format.md 1)."""
    for each in rulebook.RULEBOOK_1.rules:
        for field in msgspec.structs.fields(each):
            assert field.default in (msgspec.NODEFAULT, msgspec.UNSET), f"{each.__name__}.{field.name}"
            assert field.default_factory is msgspec.NODEFAULT, f"{each.__name__}.{field.name}"


def test_no_record_or_instruction_holds_a_float() -> None:
    for each in [*rulebook.RULEBOOK_1.rules, *rulebook.RULEBOOK_1.records.values()]:
        for field in msgspec.structs.fields(each):
            assert "float" not in str(field.type), f"{each.__name__}.{field.name}"


def test_record_kinds_are_words() -> None:
    for kind, cls in rulebook.RULEBOOK_1.records.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind)
        assert issubclass(cls, Record)
        assert cls.__doc__


def test_the_digest_is_over_all_rule_files_and_does_not_change_by_itself() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", rulebook.RULEBOOK_1.digest)
    assert rulebook.Rulebook(1, rulebook.INSTRUMENTS).digest == rulebook.RULEBOOK_1.digest
    registered = {rule.__module__ for rule in rulebook.RULEBOOK_1.rules.values()}
    registered |= {cls.__module__ for cls in rulebook.RULEBOOK_1.records.values()}
    assert registered <= {module.__name__ for module in rulebook.INSTRUMENTS}


def test_an_unknown_member_or_type_is_no_instruction() -> None:
    decoder = msgspec.json.Decoder(rulebook.RULEBOOK_1.instructions)
    good = b'{"id":"R-1","type":"receivable.cancel"}'
    assert decoder.decode(good) == instructions.CancelReceivable("R-1")
    for wrong in (
        b'{"id":"R-1","type":"receivable.destroy"}',
        b'{"id":"R-1","more":1,"type":"receivable.cancel"}',
        b'{"id":1,"type":"receivable.cancel"}',
        b'{"type":"receivable.cancel"}',
        b'{"id":"R-1"}',
    ):
        with pytest.raises(msgspec.ValidationError):
            decoder.decode(wrong)


def refusals() -> list[tuple[str, set[str]]]:
    """Every refusal in a rule file: where it stands, and what it says by name."""
    found = []
    for module in rulebook.INSTRUMENTS:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"refuse", "Refused"}:
                names = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
                if len(node.args) >= 2:
                    found.append((f"{module.__name__}:{node.lineno}", names))
    return found


def test_every_refusal_says_what_would_have_been_accepted_and_which_member_was_at_fault() -> None:
    """The rule's name and the member's value are added where the refusal is caught."""
    assert len(refusals()) > 100
    assert [place for place, names in refusals() if not names >= {"advice", "field"}] == []


def test_a_refusal_names_its_rule_and_the_value_that_it_found() -> None:
    ledger = new_ledger()
    ledger.register("shop", "supplier")
    ledger.register("core", "debtor")
    order = instructions.ConfirmReceivable("R-1", 5)
    with pytest.raises(Refused) as caught:
        ledger.apply(order, by={"core"})
    refusal = located(caught.value, order, 3)
    assert (refusal.instruction, refusal.order, refusal.value) == (3, "receivable.confirm", "R-1")
    nameless = located(Refused("a.b", "no", field="payee.name"), order, 0)
    assert nameless.value is None, "a member that is not there has no value"
    assert str(refusal).splitlines()[1].startswith("  rule receivable.confirm")
