"""How the house is measured: each function takes text and gives findings, and knows nothing of pytest.

A finding is one line that names the place and what is wrong there. What these functions cannot see, a macro that writes
functions or a name made at run time, they do not guess at.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

FILE_LINES_MAX = 600
"""A file longer than this holds two ideas."""

FUNCTION_LINES_MAX = 70
"""A function longer than a screen and a half cannot be read at once; its docstring does not count."""

LINE_CHARACTERS_MAX = 120
"""Two files fit side by side."""

BANNED_WORDS = frozenset({"token", "data", "info", "manager", "util", "utils", "helper", "helpers"})
"""Words that say nothing: every value is data, every function helps."""

BANNED_NAMES = frozenset({"proof", "root"})
"""Too little by themselves: of what? Members of the format keep the names that `docs/format.md` gives them."""

LEDGER_NAMES = frozenset({"data_source", "data_sources", "DataSource"})
"""Words of the field that contain a banned one: a data source is a party's role."""


def tracked(*suffixes: str) -> list[Path]:
    """Files of the repository that git tracks or would, ending in one of `suffixes`, or all of them."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, check=True, capture_output=True,
    ).stdout.decode()  # fmt: skip
    paths = [REPOSITORY / name for name in listed.split("\0") if name]
    # The package has the pages of docs/ as links: one file, to be measured once.
    paths = [p for p in paths if p.is_file() and not p.is_symlink()]
    return sorted(p for p in paths if not suffixes or p.suffix in suffixes)


def named(path: Path) -> str:
    """The path as a person in the repository would write it."""
    return path.relative_to(REPOSITORY).as_posix()


# ---- length
def too_long(text: str) -> list[str]:
    """Lines beyond 120 characters, and a file beyond 600 lines."""
    lines = text.splitlines()
    found = [
        f"{at}: {len(line)} characters" for at, line in enumerate(lines, 1) if len(line) > LINE_CHARACTERS_MAX
    ]  # fmt: skip
    if len(lines) > FILE_LINES_MAX:
        found.append(f"1: the file has {len(lines)} lines")
    return found


def long_python_functions(text: str) -> list[str]:
    """Functions of more than 70 lines, not counting their docstrings."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                assert node.body[0].end_lineno is not None
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            if lines > FUNCTION_LINES_MAX:
                found.append(f"{node.lineno}: {node.name} has {lines} lines")
    return found


_RUST_QUIET = re.compile(
    r"""//[^\n]*                                  # a comment to the end of its line
      | /\*.*?\*/                                 # a comment in a block
      | r(?P<fence>\#*)".*?"(?P=fence)            # a raw string
      | "(?:[^"\\]|\\.)*"                         # a string
      | '(?:[^'\\]|\\[^u]|\\u\{[^}]*\})'          # a character; a lifetime has no second quote
    """,
    re.VERBOSE | re.DOTALL,
)


def rust_code(text: str) -> str:
    """The source with comments, strings and characters blanked, every line in its place."""
    return _RUST_QUIET.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def _end_of_rust_body(code: str, start: int) -> int | None:
    """Where the body that follows a signature ends; `None` for a signature without one."""
    depth = 0
    in_body = False
    for at in range(start, len(code)):
        c = code[at]
        if c in "([{":
            in_body = in_body or (c == "{" and depth == 0)
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth == 0 and in_body:
                return at
        elif c == ";" and depth == 0:
            return None
    return None


def long_rust_functions(text: str) -> list[str]:
    """Functions of more than 70 lines from `fn` to the closing brace."""
    code = rust_code(text)
    found = []
    for match in re.finditer(r"\bfn\s+(\w+)", code):
        end = _end_of_rust_body(code, match.end())
        if end is not None and (lines := code.count("\n", match.start(), end) + 1) > FUNCTION_LINES_MAX:
            found.append(f"{code.count(chr(10), 0, match.start()) + 1}: {match[1]} has {lines} lines")
    return found


# ---- names
def words_of(name: str) -> list[str]:
    """The words of an identifier in either spelling: `batch_id` and `BatchId` both give batch and id."""
    return [w.lower() for part in name.split("_") for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", part)]


def _bad_name(name: str, is_member: bool) -> bool:
    if name in LEDGER_NAMES:
        return False
    return not BANNED_WORDS.isdisjoint(words_of(name)) or (name in BANNED_NAMES and not is_member)


def _python_names(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Names that a file gives: line, name, and whether it is a member of a class."""
    members = {
        id(statement.target)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name, False
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg, False
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id, id(node) in members


def bad_python_names(text: str) -> list[str]:
    """Names given in this file that the house bans."""
    return [f"{at}: {name}" for at, name, member in _python_names(ast.parse(text)) if _bad_name(name, member)]


def bad_rust_names(text: str) -> list[str]:
    """Names given in this file that the house bans; fields of structures count as members."""
    code = rust_code(text)
    found = []
    given = re.finditer(r"\b(fn|struct|enum|trait|mod|type|const|static|let(?:\s+mut)?)\s+([A-Za-z_]\w*)", code)
    fields = re.finditer(r"(?m)^\s*(pub(?:\([^)]*\))?\s+)(\w+):\s", code)
    for matches, member in ((given, False), (fields, True)):
        for match in matches:
            if _bad_name(match[2], member):
                found.append(f"{code.count(chr(10), 0, match.start(2)) + 1}: {match[2]}")
    return found


# ---- money
def float_money(text: str, *, strict: bool) -> list[str]:
    """Uses of binary fractions: `float(...)` anywhere, and, where `strict`, the type, a literal or true division."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            found.append(f"{node.lineno}: float(...)")
        elif not strict:
            continue
        elif isinstance(node, ast.Name) and node.id == "float" and isinstance(node.ctx, ast.Load):
            found.append(f"{node.lineno}: float")
        elif isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(f"{node.lineno}: {node.value}")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found.append(f"{node.lineno}: true division")
    return found


# ---- exceptions to the linters
_PYTHON_EXCEPTION = re.compile(
    r"#\s*(?P<what>noqa|type:\s*ignore|pragma|ruff|mypy)\b:?\s*"
    r"(?P<codes>\[[^\]]*\]|[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*|no cover)?(?P<reason>.*)"
)
_RUST_EXCEPTION = re.compile(r"^\s*#!?\[(?:cfg_attr\(.*\b)?(?:allow|expect)\(")


def _is_comment(line: str, mark: str) -> bool:
    return line.strip().startswith(mark)


def unexplained_python_exceptions(text: str) -> list[str]:
    """Places where a linter is silenced for everything, or no word says why: behind the code, or in a comment above."""
    lines = text.splitlines()
    found = []
    for piece in tokenize.generate_tokens(io.StringIO(text).readline):
        if piece.type != tokenize.COMMENT or (match := _PYTHON_EXCEPTION.match(piece.string)) is None:
            continue
        at = piece.start[0]
        above = lines[at - 2] if at > 1 else ""
        explained = len(re.findall(r"\w+", match["reason"])) >= 2 or _is_comment(above, "#")
        if not match["codes"] or not explained:
            found.append(f"{at}: {piece.string}")
    return found


def unexplained_rust_exceptions(text: str) -> list[str]:
    """Places where a lint is allowed and no word says why: as its `reason`, on its lines, or in a comment above."""
    lines = text.splitlines()
    found = []
    for at, line in enumerate(lines):
        if not _RUST_EXCEPTION.match(line):
            continue
        end = next((i for i in range(at, len(lines)) if "]" in lines[i]), at)
        whole = "\n".join(lines[at : end + 1])
        if not ("reason" in whole or "//" in whole or (at and _is_comment(lines[at - 1], "//"))):
            found.append(f"{at + 1}: {line.strip()}")
    return found


# ---- what belongs to one machine or one day
_UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|HA[C]K)\b")
_MACHINE = re.compile(
    r"(?<![\w.~-])/(?:work|root|home|Users)/"
    r"|\bcrates\.io\b(?!-index)|\bpypi\.org\b|\bpythonhosted\.org\b|\bnpmjs\.org\b|\bproxy\.golang\.org\b"
)


def unfinished(text: str) -> list[str]:
    """Marks of work left for later."""
    return [f"{at}: {m[0]}" for at, line in enumerate(text.splitlines(), 1) if (m := _UNFINISHED.search(line))]


def of_one_machine(text: str) -> list[str]:
    """Absolute paths of somebody's machine, and hosts of package registries."""
    return [f"{at}: {m[0]}" for at, line in enumerate(text.splitlines(), 1) if (m := _MACHINE.search(line))]


# ---- docstrings
def undocumented(text: str) -> list[str]:
    """The module, and public classes, functions and methods in it, that say nothing of themselves."""
    tree = ast.parse(text)
    found = [] if ast.get_docstring(tree) else ["1: the module has no docstring"]

    def visit(body: list[ast.stmt]) -> None:
        for node in body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if node.name.startswith("_"):
                continue
            overloads = [d for d in node.decorator_list if ast.unparse(d).endswith("overload")]
            if ast.get_docstring(node) is None and not overloads:
                found.append(f"{node.lineno}: {node.name}")
            if isinstance(node, ast.ClassDef):
                visit(node.body)

    visit(tree.body)
    return found


# ---- layers
def imports_of(text: str, package: str, modules: frozenset[str]) -> set[str]:
    """Modules of finchain that a file imports, by dotted name, wherever in the file the import stands.

    Args:
        text: The source.
        package: The package the file is in, for relative imports.
        modules: Every module of finchain, to tell `from finchain import errors` from a name inside a module.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            inner = {f"{base}.{alias.name}" for alias in node.names} & modules
            found.update(inner or {base})
    return {name for name in found if name == "finchain" or name.startswith("finchain.")}
