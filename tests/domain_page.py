"""Writes `docs/domain.md` from the code: every record, instruction, signer and refusal code of the rulebook.

`python tests/domain_page.py --write` writes the page, `--check` fails where it differs from the code.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import msgspec

from finchain.domain import check, rule, rulebook
from finchain.domain.rule import Instruction, Record

PAGE = Path(__file__).parent.parent / "docs" / "domain.md"

HEAD = """# The domain: records, instructions, signers, refusal codes

This page is written from the rule files by `python tests/domain_page.py --write`; a test holds it to them. The rules
themselves are in `python/finchain/domain/`, one file an instrument, in an order in which each imports only from those
above it. They are meant to be read. What refusals cite (`I-1`, `Civil Code 763`, `reversals`) is in
[rules.md](rules.md).

A member with `?` may be absent. Amounts are integers in minor units, dates `YYYY-MM-DD`. An instruction is signed by
the parties named in its text; a transaction of several needs all their signatures. A refused instruction moves nothing
and is kept with its code.
"""

T = TypeVar("T", bound=msgspec.Struct)
CODE = re.compile(r"[a-z_0-9]+\.[a-z_0-9]+")


def type_name(annotation: Any) -> str:
    """A member's type in one word, with `?` where it may be absent."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    optional = "Optional" in text
    text = re.sub(r"\s*\|\s*Optional", "", text)
    return text.replace("|", "or") + ("?" if optional else "")


def own_types(module: ModuleType, base: type[T]) -> Iterator[type[T]]:
    """The types of a kind that a module defines, in its order."""
    found = [each for each in vars(module).values() if inspect.isclass(each) and issubclass(each, base)]
    yield from (each for each in found if each.__module__ == module.__name__ and each is not base)


def members(struct: type) -> str:
    """A struct's members with their types."""
    annotations: dict[str, Any] = {}
    for parent in reversed(struct.__mro__):
        annotations.update(vars(parent).get("__annotations__", {}))
    fields = [field.name for field in msgspec.structs.fields(struct)]
    return ", ".join(f"`{name}` {type_name(annotations[name])}" for name in fields)


def code_of(call: ast.Call) -> str | None:
    """The code that a call refuses with, as a page writes it, or `None` where it refuses nothing."""
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if name not in {"refuse", "Refused"} or not call.args:
        return None
    code = call.args[0]
    if isinstance(code, ast.Constant) and isinstance(code.value, str) and CODE.fullmatch(code.value):
        return code.value
    if isinstance(code, ast.JoinedStr):
        spelled = "".join(str(p.value) if isinstance(p, ast.Constant) else "<…>" for p in code.values)
        return spelled.replace("<…>.", "<kind>.", 1)
    return None


def codes(module: ModuleType) -> list[str]:
    """Refusal codes that a module spells out; those made from a kind's name are written with `<kind>`."""
    tree = ast.parse(inspect.getsource(module))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return sorted({code for call in calls if (code := code_of(call)) is not None})


def prose(text: str | None) -> str:
    """A docstring as Markdown, its list of attributes as bullets."""
    lines = inspect.cleandoc(text or "").splitlines()
    out: list[str] = []
    for line in lines:
        if line == "Attributes:":
            continue
        elif match := re.fullmatch(r"    (\w+): (.*)", line):
            out.append(f"- `{match[1]}`: {match[2]}")
        else:
            out.append(line if not line.startswith("    ") else "  " + line.strip())
    return "\n".join(out)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for module in (rule, check, *rulebook.INSTRUMENTS):
        parts.append(f"## {module.__name__.rpartition('.')[2]}\n\n{prose(module.__doc__)}\n")
        for record in own_types(module, Record):
            parts.append(f"### Record `{record.kind}`\n\n{prose(record.__doc__)}\n\nMembers: {members(record)}.\n")
        for instruction in own_types(module, Instruction):
            tag = instruction.__struct_config__.tag
            parts.append(
                f"### `{tag}` ({instruction.__name__})\n\n{prose(instruction.__doc__)}\n\n"
                f"Members: {members(instruction)}.\n"
            )
        if found := codes(module):
            parts.append(f"Refusal codes: {', '.join(f'`{code}`' for code in found)}.\n")
    return "\n".join(parts)


def main(path: Path, text: str) -> int:
    """Writes a page, or says whether it is what the code makes of it."""
    if "--write" in sys.argv:
        path.write_text(text, "utf-8")
        return 0
    if path.read_text("utf-8") == text:
        return 0
    print(f"docs/{path.name} differs from the code: python {sys.argv[0]} --write", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(PAGE, page()))
