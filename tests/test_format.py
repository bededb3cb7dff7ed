"""docs/format.md keeps its word: its examples are what the generator makes, and no structure is without one."""

from __future__ import annotations

import re

import pytest

import format_examples as examples
import reference
import second_verifier as verifier

PAGE = examples.PAGE.read_text(encoding="utf-8")

COVERED_BY = {
    "1": ("canonical-accepted", "canonical-refused"),
    "2": ("hashes", "trees"),
    "3": ("transaction",),
    "3.1": ("header",),
    "3.2": ("instructions",),
    "3.3": ("keys", "signature", "suites"),
    "3.7": ("possession",),
    "4": (),
    "4.1": ("entry",),
    "4.2": ("block", "sha256", "sm3"),
    "4.3": ("block-0",),
    "4.4": ("checkpoint", "checkpoint-ml-dsa-44"),
    "5": (),
    "5.1": ("records", "states", "presence", "absence"),
    "5.2": ("records",),
    "6": ("receipt", "other-receipts"),
    "7": ("ledger-json", "signed-mark"),
    "7.1": ("frame",),
    "8": (),
}
"""The examples of each section; none where a section only opens others."""

RULES_WITHOUT_BYTES = {"3.4", "3.5", "3.6", "7.2", "7.3", "7.4"}
"""Sections that say how something is judged, or describe what can be rebuilt: they define no bytes that last. Those
of 7.2 are compared in `rust/core/tests/ledger_changes.rs`, those of 7.4 in `test_serving.py`."""


def test_every_example_on_the_page_is_what_the_generator_makes() -> None:
    shown = {match[1]: match[2] for match in examples.MARKED.finditer(PAGE)}
    for name, made in shown.items():
        assert made == f"```\n{examples.EXAMPLES[name]()}```\n", f"run python tests/format_examples.py --write: {name}"


def test_every_example_stands_on_the_page_once() -> None:
    names = [match[1] for match in examples.MARKED.finditer(PAGE)]
    assert sorted(names) == sorted(examples.EXAMPLES)
    assert PAGE.count("<!-- example ") == PAGE.count("<!-- end -->") == len(names)


def test_every_section_of_the_page_has_its_examples() -> None:
    sections = set(re.findall(r"^##+ ([0-9]+(?:\.[0-9]+)?) ", PAGE, re.MULTILINE))
    assert sections == COVERED_BY.keys() | RULES_WITHOUT_BYTES
    assert {name for names in COVERED_BY.values() for name in names} == set(examples.EXAMPLES)


def test_an_edited_example_would_be_noticed() -> None:
    spoilt = PAGE.replace("46434201", "46434202")
    assert spoilt != PAGE
    assert examples.filled(spoilt) == PAGE


@pytest.mark.parametrize("text", examples.ACCEPTED)
def test_accepted_samples_are_canonical(text: str) -> None:
    assert verifier.canonical(verifier.parse(text.encode())) == text.encode()


@pytest.mark.parametrize(("text", "reason"), examples.REFUSED)
def test_refused_samples_are_not_canonical(text: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        verifier.parse(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))


def test_both_writings_hash_alike() -> None:
    """The reference and the verifier were written apart; every purpose in both suites agrees."""
    for suite in examples.SUITES:
        for purpose in reference.PURPOSE_BYTES:
            for material in (b"", b"abc", bytes(range(256)) * 9):
                assert reference.digest(suite, purpose, material) == verifier.digest(suite, purpose, material)


def test_the_receipts_on_the_page_verify_as_they_stand() -> None:
    """What is read off the page alone, without the generator, convinces the second verifier."""
    shown = {match[1]: match[2] for match in examples.MARKED.finditer(PAGE)}
    verifier_key = re.search(r"^verifier key +(\S+)$", shown["checkpoint"], re.MULTILINE)
    witness_key = re.search(r"^witness key +(\S+)$", shown["checkpoint"], re.MULTILINE)
    assert verifier_key and witness_key
    receipt, inner = shown["receipt"].removeprefix("```\n").removesuffix("\n```\n").rsplit("\n\n", 1)
    result = verifier.verify_receipt(f"{receipt}\n".encode(), verifier_key[1], 0, [])
    assert result["content"] == {"amount_minor": 125_000, "id": "r-7f3a91", "seller": "shop"}
    assert verifier.parse(inner.encode())["record"] == result["content"]
    note = shown["checkpoint"].removesuffix("```\n").split("\n\n", 1)[1]
    size, _, witnessed = verifier.verify_checkpoint(note.encode(), verifier_key[1], 1, [witness_key[1]])
    assert (size, witnessed) == (3, {"witness.example": 1_774_000_000})
