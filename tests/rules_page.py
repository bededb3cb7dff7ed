"""Writes into `docs/rules.md` which refusals cite each rule, from the rule files.

`python tests/rules_page.py --write` renews those lines and leaves the rest of the page alone; `--check` fails where the
page differs from the code.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import domain_page
import house

PAGE = house.REPOSITORY / "docs" / "rules.md"
PACKAGE = house.REPOSITORY / "python" / "finchain"


def refusals(path: Path) -> Iterator[tuple[str, str]]:
    """Rule and code of every refusal that a file spells out; what it cites is never put together when it runs."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call) or (code := domain_page.code_of(node)) is None:
            continue
        for cited in (keyword.value for keyword in node.keywords if keyword.arg == "rule"):
            assert isinstance(cited, ast.Constant), f"{house.named(path)}:{node.lineno} cites what no page can list"
            yield str(cited.value), code


def cited() -> dict[str, dict[str, set[str]]]:
    """For each rule the codes of the refusals that cite it, and for each code the instruments that refuse with it."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path in sorted((PACKAGE / "domain").glob("*.py")):
        for citation, code in refusals(path):
            for name in citation.split(", "):
                found[name][code].add(path.stem)
    return found


def page() -> str:
    """The page, with the lines about refusals as the code has them."""
    codes = cited()
    text = re.sub(r"^Refusals: .*\n\n?", "", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    parts = re.split(r"^(?=##+ )", text, flags=re.MULTILINE)
    for at, part in enumerate(parts):
        heading = re.match(r"### (.*?): ", part)
        if heading and (of := codes.get(heading[1])):
            files = sorted(set().union(*of.values()))
            line = f"Refusals: {', '.join(f'`{code}`' for code in sorted(of))}; in {', '.join(files)}."
            parts[at] = f"{part.rstrip()}\n\n{line}\n\n"
    return "".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(domain_page.main(PAGE, page()))
