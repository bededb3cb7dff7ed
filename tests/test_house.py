"""The house measures itself: lengths, names, layers, money without fractions, explained exceptions, nothing left over.

A finding names its file and line. Where a rule makes a piece of code worse, the exception stands here with its reason.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import house

PYTHON = house.REPOSITORY / "python"
PACKAGE = PYTHON / "finchain"

RATCHET: dict[str, int] = {}
"""Files allowed to be longer than the house allows, with the length they may not exceed. They may only shrink."""

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "forking"}),
    frozenset({"money", "calendar"}),
    frozenset({"domain"}),
    frozenset({"instructions"}),
    frozenset({"_core"}),
    frozenset({"named"}),
    frozenset({"wording"}),
    frozenset({"keys", "clock", "outcome"}),
    frozenset({"key_folder"}),
    frozenset({"outcome", "transaction", "receipt", "checkpoint"}),
    frozenset({"pipe", "source"}),
    frozenset({"replay", "rehearsal"}),
    frozenset({"reading"}),
    frozenset({"trust"}),
    frozenset({"reader", "submitting", "proving", "wire"}),
    frozenset({"serving"}),
    frozenset({"ledger"}),
    frozenset({"opening", "connection"}),
    frozenset({"following"}),
    frozenset({"batch", "interop"}),
    frozenset({"audit", "supervision"}),
    frozenset({"copies", "examination"}),
    frozenset({"report", "references", "demo_deal", "demo"}),
    frozenset({""}),
    frozenset({"cli"}),
)
"""A module imports from lines above its own, and on its own line without going round in a circle.

The empty name is the package's own `__init__`, which gathers what users import; the command is such a user.
"""

MAY_IMPORT_CORE = frozenset(
    {
        "keys",
        "transaction",
        "receipt",
        "checkpoint",
        "pipe",
        "replay",
        "reader",
        "proving",
        "trust",
        "serving",
        "ledger",
        "following",
        "opening",
        "audit",
        "copies",
    }
)
"""The only modules that touch the compiled one; the others are plain Python that a person can step through."""

NO_RULES = frozenset({"__init__", "rulebook", "invariants", "totals"})
"""Files of `domain/` that decide nothing: the digest leaves them out, and no rule may import them."""

INSTRUMENT_ORDER = (
    "party", "trade", "receivable", "guarantee", "account", "loan", "project", "attestation", "supervision",
)  # fmt: skip
"""Order of the main instruments. The files between them stand in the rulebook's own tuple."""


def gathered(paths: list[Path], measure: Callable[[str], list[str]]) -> list[str]:
    """Findings of one measure over files, each with its file."""
    return [f"{house.named(path)}:{finding}" for path in paths for finding in measure(path.read_text("utf-8"))]


def python_files() -> list[Path]:
    return house.tracked(".py", ".pyi")


def library_files() -> list[Path]:
    return [path for path in python_files() if path.is_relative_to(PACKAGE)]


def rule_files() -> list[Path]:
    return [p for p in library_files() if p.parent.name == "domain" or p.name in {"money.py", "calendar.py"}]


def rust_files() -> list[Path]:
    return house.tracked(".rs")


# ---- length
def test_no_line_and_no_file_is_too_long() -> None:
    found = [
        finding
        for finding in gathered(python_files() + rust_files(), house.too_long)
        if not finding.endswith("lines") or finding.split(":")[0] not in RATCHET
    ]
    assert not found, "\n".join(found)


def test_files_on_the_ratchet_only_shrink() -> None:
    lengths = {name: len((house.REPOSITORY / name).read_text("utf-8").splitlines()) for name in RATCHET}
    loose = {name: lines for name, lines in lengths.items() if lines != RATCHET[name]}
    assert not loose, f"write the new, smaller lengths into RATCHET, or take them out: {loose}"


def test_no_function_is_too_long() -> None:
    found = gathered(python_files(), house.long_python_functions) + gathered(rust_files(), house.long_rust_functions)
    assert not found, "\n".join(found)


# ---- forks
def test_what_goes_to_all_cores_goes_by_the_one_way_that_a_forked_child_survives() -> None:
    spread = [path for path in rust_files() if "src" in path.parts and "use rayon::prelude" in path.read_text("utf-8")]
    assert len(spread) > 5
    assert not [house.named(path) for path in spread if "on_all_cores(" not in path.read_text("utf-8")]


# ---- words
def test_names_say_something() -> None:
    found = gathered(python_files(), house.bad_python_names) + gathered(rust_files(), house.bad_rust_names)
    found += [house.named(p) for p in house.tracked() if not house.BANNED_WORDS.isdisjoint(house.words_of(p.stem))]
    assert not found, "\n".join(found)


def test_money_is_never_a_binary_fraction() -> None:
    strict = rule_files()
    loose = [path for path in library_files() if path not in strict]
    found = gathered(strict, lambda text: house.float_money(text, strict=True))
    found += gathered(loose, lambda text: house.float_money(text, strict=False))
    assert not found, "\n".join(found)


def test_every_exception_to_a_linter_is_explained() -> None:
    # In tests a wrong type is often the point, and the test's name says so.
    found = gathered([p for p in python_files() if p.parent.name != "tests"], house.unexplained_python_exceptions)
    found += gathered(rust_files(), house.unexplained_rust_exceptions)
    assert not found, "\n".join(found)


def test_nothing_is_left_for_later() -> None:
    found = gathered(house.tracked(".py", ".pyi", ".rs", ".toml", ".md"), house.unfinished)
    assert not found, "\n".join(found)


def test_nothing_belongs_to_one_machine() -> None:
    # Cargo writes its registry into the lock file, and this test quotes what it seeks.
    exempt = {"Cargo.lock", "tests/test_house.py"}
    paths = [p for p in house.tracked() if house.named(p) not in exempt and p.suffix not in {".png", ".so", ".xz"}]
    found = gathered(paths, house.of_one_machine)
    assert not found, "\n".join(found)


def test_every_module_and_every_public_thing_says_what_it_is() -> None:
    found = gathered([p for p in library_files() if p.suffix == ".py"], house.undocumented)
    others = [p for p in python_files() if p.suffix == ".py" and not p.is_relative_to(PACKAGE)]
    found += [house.named(path) for path in others if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    found += [house.named(path) for path in rust_files() if not path.read_text("utf-8").startswith("//!")]
    assert not found, "\n".join(found)


def test_the_tree_of_errors_shows_every_error() -> None:
    tree = ast.parse((PACKAGE / "errors.py").read_text("utf-8"))
    drawn = set(re.findall(r"\w+", ast.get_docstring(tree) or ""))
    missing = [n.name for n in tree.body if isinstance(n, ast.ClassDef) and n.name not in drawn]
    assert not missing, f"not in the tree at the top of errors.py: {missing}"


# ---- layers
def modules() -> dict[str, Path]:
    """Every module of the library by dotted name."""
    return {".".join(p.relative_to(PYTHON).with_suffix("").parts).removesuffix(".__init__"): p for p in library_files()}


def imports() -> dict[str, set[str]]:
    """What each module of the library imports of the library."""
    known = modules()
    names = frozenset(known)
    return {
        name: house.imports_of(
            path.read_text("utf-8"), name if path.stem == "__init__" else name.rpartition(".")[0], names
        )
        for name, path in known.items()
    }


def top_of(module: str) -> str:
    """`domain` of `finchain.domain.party`; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def test_every_module_has_a_layer() -> None:
    placed = frozenset().union(*LAYERS)
    homeless = {top_of(name) for name in modules()} - placed - {"", "__main__"}
    assert not homeless, f"give these a place in LAYERS: {sorted(homeless)}"


def test_a_layer_imports_only_from_those_above() -> None:
    level = {name: at for at, layer in enumerate(LAYERS) for name in layer}
    found = []
    for module, imported in imports().items():
        own = top_of(module)
        if own in {"", "__main__"}:
            continue
        for other in sorted(imported):
            theirs = top_of(other)
            if theirs != own and level.get(theirs, len(LAYERS)) > level.get(own, len(LAYERS)):
                found.append(f"{module} imports {other}")
    assert not found, "\n".join(found)


def test_imports_never_go_round_in_a_circle() -> None:
    graph = {name: {other for other in imported if other != name} for name, imported in imports().items()}
    for name in graph:
        # A package's `__init__` may gather its own modules, which name the package only to reach each other.
        graph[name] = {other for other in graph[name] if not name.startswith(other + ".")}
    TopologicalSorter(graph).prepare()


def test_only_the_edge_touches_the_compiled_module() -> None:
    found = [
        module
        for module, imported in imports().items()
        if any(top_of(other) == "_core" for other in imported) and top_of(module) not in MAY_IMPORT_CORE | {"_core"}
    ]
    assert not found, found


def rulebook_order() -> tuple[list[str], list[str]]:
    """The ground and the instruments, in the order in which the rulebook's tuples name them."""
    tree = ast.parse((PACKAGE / "domain" / "rulebook.py").read_text("utf-8"))
    tuples = {
        ast.unparse(node.target): [ast.unparse(e).rpartition(".")[2] for e in node.value.elts]
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Tuple)
    }
    return tuples["_GROUND"], tuples["INSTRUMENTS"]


def test_the_digest_covers_every_rule_file() -> None:
    ground, instruments = rulebook_order()
    files = {path.stem for path in rule_files() if path.suffix == ".py"} - NO_RULES
    assert files == set(ground) | set(instruments)


def test_a_rule_stands_only_on_what_the_digest_covers() -> None:
    ground, instruments = rulebook_order()
    covered = {f"finchain.domain.{name}" for name in (*ground, *instruments)}
    covered |= {"finchain.money", "finchain.calendar", "finchain.errors"}
    found = [
        f"{module} imports {other}"
        for module, imported in imports().items()
        if module in covered
        for other in imported - covered
    ]
    assert not found, "\n".join(found)


def test_an_instrument_imports_only_from_those_before_it() -> None:
    ground, instruments = rulebook_order()
    place = dict.fromkeys(ground, -1) | {name: at for at, name in enumerate(instruments)}
    found = []
    for module, imported in imports().items():
        own = place.get(module.rpartition(".")[2])
        later = [other for other in imported if own is not None and place.get(other.rpartition(".")[2], -1) > own]
        found += [f"{module} imports {other}, which the rulebook names later" for other in later]
    assert not found, "\n".join(found)


def test_the_main_instruments_stand_in_the_order_of_the_architecture() -> None:
    _, instruments = rulebook_order()
    present = [name for name in INSTRUMENT_ORDER if name in instruments]
    assert sorted(present, key=instruments.index) == present


def test_importing_finchain_is_light() -> None:
    check = (
        "import sys, threading\n"
        "from finchain import *\n"
        "heavy = {'click', 'rich', 'asyncio', 'cryptography', 'multiprocessing'} & set(sys.modules)\n"
        "assert not heavy, f'import finchain loads {sorted(heavy)}'\n"
        "assert threading.active_count() == 1, 'import finchain starts a thread'\n"
    )
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


# ---- the measures themselves can fail
RUST_TALL = "fn tall() {\n" + "    let brace = '}'; // }\n" * 70 + "}\n"
RUST_SHORT = 'fn short<const N: usize>(a: [u8; N]) -> &\'static str {\n    "}"\n}\ntrait T {\n    fn declared();\n}\n'


@pytest.mark.parametrize(
    ("measure", "bad", "good"),
    [
        (house.too_long, "x" * 121, "x" * 120),
        (house.too_long, "x\n" * 601, "x\n" * 600),
        (house.long_python_functions, "def f():\n" + "    x = 1\n" * 70, "def f():\n" + "    x = 1\n" * 69),
        (house.long_python_functions, "def f():\n" + "    x = 1\n" * 70, 'def f():\n    """' + "\n" * 70 + '"""\n'),
        (house.long_rust_functions, RUST_TALL, RUST_SHORT),
        (house.bad_python_names, "user_data = 1", "updated = 1"),
        (house.bad_python_names, "class KeyManager: ...", "class KeyRing: ..."),
        (house.bad_python_names, "def f(proof): ...", "def f(inclusion_proof): ..."),
        (house.bad_python_names, "root = b''", "class Header:\n    root: str\n"),
        (house.bad_rust_names, "fn parse(){ let data = 1; }", "fn parse(){ let bytes = 1; file.sync_data(); }"),
        (house.bad_rust_names, "struct BlockInfo;", "struct Header {\n    pub root: Hash,\n}"),
        (lambda t: house.float_money(t, strict=True), "share = a / b", "share = a // b"),
        (lambda t: house.float_money(t, strict=True), "rate = 0.5", "rate_bp = 50"),
        (lambda t: house.float_money(t, strict=True), "def f(x: float): ...", "def f(x: int): ..."),
        (lambda t: house.float_money(t, strict=False), "x = float('1')", "x = a / b"),
        (house.unexplained_python_exceptions, "import x  # noqa", "import x  # noqa: F401 - loads the rules"),
        (house.unexplained_python_exceptions, "f()  # type: ignore", "f()  # type: ignore[x]  # the stub lacks it"),
        (house.unexplained_python_exceptions, "f()  # type: ignore[x]", "# Why.\nf()  # type: ignore[x]"),
        (house.unexplained_rust_exceptions, "#[allow(dead_code)]", '#[allow(dead_code, reason = "for readers")]'),
        (house.unexplained_rust_exceptions, "#![allow(clippy::panic)]", "// May panic.\n#![allow(clippy::panic)]"),
        (house.unfinished, "# TO" + "DO: later", "# to do it later costs more"),
        (house.of_one_machine, "see /home/me/x", "see docs/home/x and https://example.org/home/x"),
        (house.undocumented, '"""M."""\ndef f(): ...', '"""M."""\ndef _f(): ...'),
        (house.undocumented, "x = 1", '"""M."""'),
    ],
)  # fmt: skip
def test_a_measure_finds_the_bad_and_leaves_the_good(measure: Callable[[str], list[str]], bad: str, good: str) -> None:
    assert measure(bad)
    assert not measure(good), measure(good)


def test_imports_are_seen_wherever_they_stand() -> None:
    known = frozenset({"finchain.errors", "finchain.domain.party", "finchain.money"})
    source = "from finchain import errors\ndef f():\n    from finchain.domain.party import Party\n    import click\n"
    assert house.imports_of(source, "finchain", known) == {"finchain.errors", "finchain.domain.party"}
    assert house.imports_of("from . import party", "finchain.domain", known) == {"finchain.domain.party"}
    assert house.imports_of("from ..money import Money", "finchain.domain", known) == {"finchain.money"}
