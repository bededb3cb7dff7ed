"""Every sentence of advice that the rule files may say, read from their text.

Advice is a text, one of two, a sum of texts, or what `up_to`, `from_to` or a function of the same file makes of them; a
refusal that makes it in another way fails here. What is only known when it is said is `UNKNOWN`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import finchain.domain
from finchain.domain.rule import NONE
from following_advice import UNKNOWN

DOMAIN = Path(finchain.domain.__file__).parent


def sentences() -> Iterator[tuple[str, str]]:
    """The advice of every refusal, with its file; what is only known when it is said is `UNKNOWN`."""
    for path in sorted(DOMAIN.glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"refuse", "Refused"}:
                for keyword in node.keywords:
                    if keyword.arg == "advice":
                        yield from ((path.stem, each) for each in _said(keyword.value, tree))


def _said(node: ast.expr, tree: ast.Module) -> list[str]:
    """What an expression of a rule file may say."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            return ["".join(_part(each) for each in values)]
        case ast.IfExp(body=body, orelse=other):
            return _said(body, tree) + _said(other, tree)
        case ast.BinOp(left=left, right=right):
            return [first + second for first in _said(left, tree) for second in _said(right, tree)]
        case ast.Call(func=ast.Name(id="up_to"), args=[act, _, otherwise]):
            most = [f"{each} up to {UNKNOWN}" for each in _said(act, tree)]
            return most + [f"{NONE}: {each}" for each in _said(otherwise, tree)]
        case ast.Call(func=ast.Name(id="from_to"), args=[_, _, otherwise]):
            return [f"state a date from {UNKNOWN} to {UNKNOWN}", *_said(otherwise, tree)]
        case ast.Call(func=ast.Name(id=name)):
            (function,) = (each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == name)
            values = [each.value for each in ast.walk(function) if isinstance(each, ast.Return) and each.value]
            return [text for value in values for text in _said(value, tree)]
        case ast.Name(id=name):
            values = [each.value for each in ast.walk(tree) if name in _assigned(each)]  # type: ignore[attr-defined]
            assert values, f"{name} is assigned nowhere in the file"
            return [text for value in values for text in _said(value, tree)]
    raise AssertionError(f"advice is made in a way that this test does not read: {ast.unparse(node)}")


def _assigned(node: ast.AST) -> set[str]:
    """Names to which a statement gives or adds something."""
    if isinstance(node, ast.AnnAssign | ast.AugAssign) and node.value is not None:
        return {ast.unparse(node.target)}
    return {ast.unparse(each) for each in node.targets} if isinstance(node, ast.Assign) else set()


def _part(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=ast.Name(id="NONE")):
            return NONE
    return UNKNOWN
