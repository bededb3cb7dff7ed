"""What the pages say is true: examples run, commands print what is shown, links and named files exist.

The blocks of one page run in order, in one folder and one namespace, with a key folder of their own: those marked
`python` as written, and of those marked `console` the lines `$ finchain …`, and `$ echo $?` after them. Where a
console block shows output, it is compared; `...` stands for anything. What is not meant to run is marked `text`.
"""

from __future__ import annotations

import doctest
import gc
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import house

PAGES = house.tracked(".md")
EXAMPLE_PAGES = [
    path for path in PAGES if re.search(r"^```(?:python|console)$", path.read_text("utf-8"), re.MULTILINE)
]  # fmt: skip

COMMAND_SECONDS_MAX = 120
"""No command that a page shows may keep its reader waiting longer."""

RUNNABLE = re.compile(r"finchain\b|echo \$\?$")
"""Commands that are run; a page may also show how to install, and that is not repeated here."""


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and the line of the page on which the text begins."""

    language: str
    text: str
    line: int


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = []
    for match in re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        found.append(Block(match[1], match[2], page.count("\n", 0, match.start(2)) + 1))
    return found


def commands_of(console: str) -> list[tuple[str, str]]:
    """Commands of a console block, each with the output shown under it. A trailing backslash continues a command."""
    commands: list[tuple[str, str]] = []
    continued = False
    for line in console.splitlines():
        if continued:
            commands[-1] = (f"{commands[-1][0]}\n{line}", "")
        elif line.startswith("$ "):
            commands.append((line[2:], ""))
        elif commands:
            commands[-1] = (commands[-1][0], commands[-1][1] + line + "\n")
        continued = (continued or line.startswith("$ ")) and line.endswith("\\")
    return commands


def run_console(block: Block, folder: Path, place: str) -> None:
    """Runs the commands of a block in one shell each, and compares what they print with what the page shows."""
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
        "COLUMNS": "100",
    }
    code = 0
    for command, shown in commands_of(block.text):
        if not RUNNABLE.match(command):
            continue
        run = subprocess.run(
            ["bash", "-c", f"(exit {code}); {command}"], cwd=folder, env=environment, text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=COMMAND_SECONDS_MAX,
        )  # fmt: skip
        code = run.returncode
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        if shown.strip():
            matches = doctest.OutputChecker().check_output(shown, run.stdout, options)
            assert matches, f"{place}: `{command}` printed\n{run.stdout}\nand the page shows\n{shown}"
        else:
            assert code == 0, f"{place}: `{command}` ended with {code}\n{run.stdout}"


@pytest.mark.parametrize("page", EXAMPLE_PAGES, ids=house.named)
def test_examples_run(page: Path, tmp_path: Path, key_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(page.read_text("utf-8")):
        if block.language == "python":
            # Blank lines before the source make a traceback name the page's own line.
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, str(page), "exec"), namespace)
            # What an example left open must not keep a command of the next block from opening it.
            gc.collect()
        elif block.language == "console":
            run_console(block, folder, f"{house.named(page)}:{block.line}")


# ---- links and names
def headings_of(page: str) -> set[str]:
    """Anchors of a page's headings, as common renderers make them."""
    plain = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+\s+(.*?)\s*$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def anchors_of(path: Path) -> set[str]:
    """Anchors of a page; a file that is no page has none."""
    return headings_of(path.read_text("utf-8")) if path.suffix == ".md" else set()


@pytest.mark.parametrize("page", PAGES, ids=house.named)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name) if name else page
        if not path.exists() or (anchor and anchor not in anchors_of(path)):
            lost.append(target)
    assert not lost, f"{house.named(page)} links to {lost}"


@pytest.mark.parametrize("page", PAGES, ids=house.named)
def test_files_and_tests_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    lost = []
    for name, test in re.findall(r"`((?:tests|rust|benches|docs|python)/[\w./-]+\.\w+)(?:::(\w+))?`", text):
        path = house.REPOSITORY / name
        if not path.exists() or (test and not re.search(rf"\b(?:def|fn) {test}\b", path.read_text("utf-8"))):
            lost.append(f"{name}::{test}" if test else name)
    assert not lost, f"{house.named(page)} names {lost}"


def test_make_targets_that_a_page_names_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (house.REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE))
    lost = [
        f"{house.named(page)}: make {name}"
        for page in PAGES
        for name in re.findall(r"`make ([a-z-]+)`", page.read_text("utf-8"))
        if name not in targets
    ]
    assert not lost, "\n".join(lost)


# ---- the reader of pages itself
def test_blocks_are_found_with_their_lines() -> None:
    page = "# T\n\n```python\nx = 1\n```\nwords\n```console\n$ finchain x\nout\n```\n"
    assert blocks_of(page) == [Block("python", "x = 1\n", 4), Block("console", "$ finchain x\nout\n", 8)]


def test_commands_are_found_with_their_output() -> None:
    assert commands_of("$ a\none\ntwo\n$ b \\\n  c\n$ d\n") == [("a", "one\ntwo\n"), ("b \\\n  c", ""), ("d", "")]


def test_a_command_that_prints_something_else_is_noticed(tmp_path: Path) -> None:
    run_console(Block("console", "$ echo $?\n0\n$ pip install finchain\nnever run\n", 1), tmp_path, "here")
    with pytest.raises(AssertionError, match="the page shows"):
        run_console(Block("console", "$ echo $?\n7\n", 1), tmp_path, "here")


def test_headings_become_anchors() -> None:
    assert headings_of("# One two\n## 3 Words: `a_b`\n```\n# no\n```\n") == {"one-two", "3-words-a_b"}
