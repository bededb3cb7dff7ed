"""What is cited leads somewhere: every rule, section, page and command that the package names is in its pages."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

import domain_page
import finchain as fc
import house
import rules_page
from finchain import cli
from finchain.cli.exit_codes import DONE, FAILED
from finchain.cli.screen import refused_text
from finchain.references import explain_rule, pages, rules

CITED_IN_TEXT = re.compile(
    r"\b(?:I-\d+|Civil Code \d+|State Council \d+|PBOC \d+ No\. \d+|format \d+(?:\.\d+)?)\b|(?<=rule )(?:P\b|`\w+`)"
)
"""What comments, docstrings and messages cite, besides what refusals do."""

SECTION_IN_TEXT = re.compile(r"docs/[a-z-]+\.md`?(?: (?:section )?\d+(?:\.\d+)?)?")

COMMAND_IN_TEXT = re.compile(r"`finchain explain ([^`{]+)`")


def package_files() -> list[Path]:
    return [path for path in house.tracked(".py", ".rs") if path.relative_to(house.REPOSITORY).parts[0] != "tests"]


def found_in_package(pattern: re.Pattern[str]) -> set[tuple[str, str]]:
    """Whatever a pattern finds in the package's sources, a line break being a blank, with the file."""
    found = set()
    for path in package_files():
        text = re.sub(r"\n\s*(?:#|//[/!]?)?\s*", " ", path.read_text("utf-8"))
        found |= {(house.named(path), match[0]) for match in pattern.finditer(text)}
    return found


def leads_nowhere(citation: str) -> bool:
    try:
        return not explain_rule(citation)
    except fc.NotFound:
        return True


# ---- what is cited
def test_what_refusals_cite_is_on_a_page() -> None:
    cited = [each for path in (rules_page.PACKAGE / "domain").glob("*.py") for each in rules_page.refusals(path)]
    assert len(cited) > 140
    assert not {citation for citation, _ in cited if leads_nowhere(citation)}


def constants(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("name", ["domain/totals.py", "domain/invariants.py", "report/trace.py"])
def test_the_numbers_of_totals_invariants_and_traces_are_rules(name: str) -> None:
    numbers = {each for each in constants(rules_page.PACKAGE / name) if re.fullmatch(r"I-\d+|R\d+|FIFO|\d\.\d+", each)}
    assert len(numbers) >= 6 and numbers <= {rule.name for rule in rules()}


def test_what_texts_cite_is_on_a_page() -> None:
    cited = found_in_package(CITED_IN_TEXT)
    assert len(cited) > 100
    assert not [(where, name) for where, name in cited if leads_nowhere(name.strip("`"))]


def test_pages_and_sections_that_are_named_are_there() -> None:
    named = found_in_package(SECTION_IN_TEXT)
    assert len(named) > 30
    assert not [(where, name) for where, name in named if leads_nowhere(name.replace("`", ""))]


def test_commands_that_messages_recommend_lead_somewhere() -> None:
    named = {match.removeprefix("`finchain explain ").strip("`") for _, match in found_in_package(COMMAND_IN_TEXT)}
    assert {"domain", "operating 9", "format 7.4"} <= named
    assert not [name for name in named if leads_nowhere(name)]


def test_nothing_cites_a_page_that_is_no_part_of_the_package() -> None:
    assert not found_in_package(re.compile(r"\b(?:domain|format)\.md (?:I-|R\d|\d)"))


# ---- the page of rules
def test_the_page_lists_the_refusals_that_cite_each_rule() -> None:
    assert rules_page.PAGE.read_text("utf-8") == rules_page.page(), "run: python tests/rules_page.py --write"


def test_every_rule_is_cited_somewhere() -> None:
    sources = " ".join(re.sub(r"\s+", " ", path.read_text("utf-8")) for path in package_files())
    assert not [rule.name for rule in rules() if not re.search(rf"\b{re.escape(rule.name)}\b", sources)]


def test_every_rule_says_itself_in_english_and_chinese() -> None:
    names = [rule.name.casefold() for rule in rules()]
    assert len(names) == len(set(names)) > 70
    for rule in rules():
        english, _, chinese = rule.text.partition("\n中文：")
        assert rule.title and len(english.split()) > 12, rule.name
        assert re.search("[\u4e00-\u9fff]{5}", chinese), rule.name
        assert "中文" not in chinese, f"{rule.name} runs into the next one"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_the_command_prints_every_rule(rule: fc.Section, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["explain", *rule.name.split()]) == DONE
    out = capsys.readouterr().out
    assert out.startswith(f"{rule.name}: {rule.title}\n") and rule.text in out
    assert cli.run(["explain", rule.name.upper(), "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["codes"] == list(rule.codes)


def test_without_a_name_the_command_lists_all_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["explain"]) == DONE
    assert capsys.readouterr().out.splitlines() == [f"{rule.name}: {rule.title}" for rule in rules()]


# ---- what else has a name
def test_a_citation_of_two_rules_gives_both() -> None:
    assert [each.name for each in fc.explain_rule("Civil Code 763, I-1")] == ["Civil Code 763", "I-1"]


def test_a_section_of_a_page_goes_to_the_next_heading_and_no_further() -> None:
    (section,) = explain_rule("format 3.3")
    assert (section.page, section.title) == ("format", "Signatures") and "### 3.4" not in section.text
    (whole,) = explain_rule("docs/format.md section 3")
    assert "### 3.3 Signatures" in whole.text and "## 4 Block" not in whole.text
    (mapping,) = explain_rule("operating 9")
    assert '# path = "in/orders_*.csv"' in mapping.text, "a comment in an example is no heading"
    assert explain_rule("operating Exit codes of the command") == explain_rule("operating 3")


def test_instructions_records_and_instruments_have_sections_too() -> None:
    (by_tag,) = explain_rule("receivable.confirm")
    assert explain_rule("ConfirmReceivable") == (by_tag,) and "Signed by the debtor" in by_tag.text
    (instrument,) = explain_rule("receivable")
    assert "### `receivable.confirm`" in instrument.text and "receivable.over_confirm" in instrument.codes
    (record,) = explain_rule("client_cover")
    assert record.title == "a kind of record"


def test_a_refusal_code_leads_to_the_rules_that_are_cited_for_it() -> None:
    assert [each.name for each in explain_rule("receivable.over_confirm")] == ["I-1", "Civil Code 763"]
    assert [each.name for each in explain_rule("cash.duplicate")] == ["duplicates"]
    assert [each.name for each in explain_rule("receivable.insufficient_free")] == ["I-3"]


@pytest.mark.parametrize("path", sorted((rules_page.PACKAGE / "domain").glob("*.py")), ids=lambda path: path.stem)
def test_every_refusal_code_leads_somewhere(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    codes = {code for call in calls if (code := domain_page.code_of(call))}
    assert not [code for code in codes if leads_nowhere(re.sub("<[^>]*>", "loan", code))]


# ---- what has no name
@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("I-77", "I-7"), ("Civil Code 76", "Civil Code 76"), ("reversal", "reversals"),
        ("receivable.confrim", "receivable.confirm"),
    ],
)  # fmt: skip
def test_a_name_that_leads_nowhere_is_refused_with_the_nearest(wrong: str, meant: str) -> None:
    with pytest.raises(fc.NotFound, match=re.escape(wrong)) as caught:
        explain_rule(wrong)
    assert meant in caught.value.advice


@pytest.mark.parametrize(
    "wrong", ["", " ", ",", "I-1,", "format 99", "format 3.", "domain.md I-1", "I-1 I-2", "../rules", "*.*"]
)
def test_nothing_is_guessed(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["explain", wrong]) == FAILED
    assert "nothing is called" in capsys.readouterr().err


def test_instructions_without_a_signer_are_no_citation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    what = tmp_path / "claim.json"
    what.write_text("{}")
    assert cli.run(["explain", str(tmp_path / "deal"), str(what)]) == FAILED
    assert "--by" in capsys.readouterr().err
    assert cli.run(["explain", str(what), "--by", "shop"]) == FAILED
    assert "LEDGER and WHAT" in capsys.readouterr().err


def test_a_rule_of_somebody_elses_rulebook_is_not_said_to_be_on_a_page() -> None:
    assert "see  finchain explain I-1" in refused_text(fc.Refused("x.y", "no", rule="I-1"))
    for rule in ("", "Mexican Factoring Law 2"):
        assert refused_text(fc.Refused("x.y", "no", rule=rule)) == str(fc.Refused("x.y", "no", rule=rule))


# ---- the pages in the package
def test_the_package_has_the_pages_and_no_second_text() -> None:
    linked = files("finchain").joinpath("docs")
    written = sorted((house.REPOSITORY / "docs").glob("*.md"))
    assert [path.stem for path in written] == list(pages()), "link new pages: ln -s ../../../docs/NAME.md"
    for path in written:
        link = Path(str(linked.joinpath(path.name)))
        assert link.is_symlink() and link.resolve() == path
