"""Where a citation leads: the pages that come with the library, by the names that refusals, totals and errors give.

A refusal cites `I-1`, `Civil Code 763`, `reversals` or `format 3.3`; each is a heading of a page. Instructions, record
kinds and refusal codes are found as well. Nothing is guessed: a name that leads nowhere is refused, with the nearest.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

import msgspec

from finchain.errors import NotFound

_SECTION: Final = re.compile(r"(?:docs/)?([a-z-]+?)(?:\.md)?(?: section)?(?: (\S.*))?", re.IGNORECASE)
_INSTRUCTION: Final = re.compile(r"`([a-z_.]+)` \((\w+)\)")
_RECORD: Final = re.compile(r"Record `([a-z_]+)`")
_CODES: Final = re.compile(r"^Refus(?:als|al codes): (.*)$", re.MULTILINE)
_NEAREST: Final = 3


class Section(msgspec.Struct, frozen=True):
    """A section of a page, or a whole page.

    Attributes:
        page: The page, such as `rules`.
        name: What it is cited by; of a refusal code that no rule is cited for, the code.
        title: What its heading says besides the name.
        text: What stands under the heading, in Markdown.
        codes: Codes of the refusals that it lists. `<kind>` stands for the kind of any record.
    """

    page: str
    name: str
    title: str
    text: str
    codes: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = f"{self.name}: {self.title}" if self.title else self.name
        return f"{head}\n\n{self.text}\n\n(docs/{self.page}.md)"


@functools.cache
def pages() -> tuple[str, ...]:
    """The pages of `docs/`, which are part of every installation, by name."""
    found = (page.name.partition(".md") for page in files("finchain").joinpath("docs").iterdir())
    return tuple(sorted(name for name, suffix, _ in found if suffix))


def rules() -> tuple[Section, ...]:
    """Every rule, invariant and law that refusals cite, in the order of the page."""
    return tuple(_rules().values())


def explain_rule(citation: str) -> tuple[Section, ...]:
    """What a citation leads to.

    Args:
        citation: As it stands in a refusal, such as `Civil Code 763, I-1`; or a page with a section, such as
            `format 3.3`; an instruction, such as `receivable.confirm`; a record's kind; a refusal code.

    Returns:
        A section for each name in the citation; for a refusal code, of each rule that is cited for it.

    Raises:
        NotFound: A name leads nowhere; the nearest ones are given.
    """
    return tuple(section for name in citation.split(",") for section in _found(name.strip()))


def _found(name: str) -> list[Section]:
    rule = _rules().get(name.casefold())
    if rule is not None:
        return [rule]
    found = [*_of_page(name), *_of_domain(name)] or list(_of_code(name))
    if not found:
        near = difflib.get_close_matches(name.casefold(), _names(), _NEAREST)
        meant = f"did you mean {' or '.join(_names()[each] for each in near)}? " if near else ""
        raise NotFound(f"nothing is called {name!r}", advice=f"{meant}`finchain explain` lists the rules")
    return found


def _of_page(name: str) -> Iterator[Section]:
    """A page, or the section of one with this number or title."""
    match = _SECTION.fullmatch(name)
    page = match[1].casefold() if match else ""
    if match is None or page not in pages():
        return
    wanted = (match[2] or "").casefold()
    for level, title, text in _headings(page):
        number, _, rest = title.partition(" ") if title[0].isdigit() else ("", "", title)
        if level == 1 and not wanted:
            yield Section(page, page, title, text)
        elif wanted and wanted in (number, rest.casefold()):
            yield Section(page, f"{page} {number}".rstrip(), rest, text)


def _of_domain(name: str) -> Iterator[Section]:
    """An instrument by the name of its rule file, else an instruction by tag or class, or a record by its kind."""
    for level, title, text in _headings("domain"):
        if level == 2 and name == title:
            yield Section("domain", name, "an instrument", text, _codes(text))
            return
        if (match := _INSTRUCTION.fullmatch(title)) and name in match.groups():
            yield Section("domain", match[1], match[2], text)
        elif (match := _RECORD.fullmatch(title)) and name == match[1]:
            yield Section("domain", name, "a kind of record", text)


def _of_code(name: str) -> Iterator[Section]:
    """The rules that are cited for a refusal code; of one without, the instruments that refuse with it."""
    cited = [rule for rule in rules() if any(_is_code(name, code) for code in rule.codes)]
    yield from cited
    for level, title, text in () if cited else _headings("domain"):
        if level == 2 and any(_is_code(name, code) for code in _codes(text)):
            says = f"No rule is cited for it: its message and `finchain explain {title}` say what would be accepted."
            yield Section("domain", name, f"a refusal of {title}", says)


def _is_code(name: str, code: str) -> bool:
    """Whether a code is the one that a page spells, with `<kind>` for any kind."""
    return re.fullmatch(re.sub(r"<[^>]*>", "[a-z_]+", re.escape(code)), name) is not None


@functools.cache
def _rules() -> dict[str, Section]:
    """The rules by what they are cited by, in one case."""
    found = {}
    for level, heading, text in _headings("rules"):
        name, colon, title = heading.partition(": ")
        if level == 3 and colon:
            found[name.casefold()] = Section("rules", name, title, text, _codes(text))
    return found


@functools.cache
def _names() -> dict[str, str]:
    """Everything that has a name, by its name in one case, for those who wrote it slightly differently."""
    found = [rule.name for rule in rules()] + list(pages())
    for level, title, text in _headings("domain"):
        match = _INSTRUCTION.fullmatch(title)
        found += [match[1]] if match else []
        found += [title, *_codes(text)] if level == 2 else []
    return {name.casefold(): name for name in reversed(found)}


def _codes(text: str) -> tuple[str, ...]:
    return tuple(code for line in _CODES.findall(text) for code in re.findall(r"`([^`]*\.[^`]*)`", line))


@functools.cache
def _headings(page: str) -> tuple[tuple[int, str, str], ...]:
    """Level, title and text of each heading of a page; the text goes on to the next heading that is not below it."""
    lines = files("finchain").joinpath("docs", f"{page}.md").read_text("utf-8").splitlines()
    starts: list[tuple[int, int, str]] = []
    fenced = False
    for at, line in enumerate(lines):
        fenced ^= line.startswith("```")
        if not fenced and (match := re.fullmatch(r"(#+) +(.*\S) *", line)):
            starts.append((at, len(match[1]), match[2]))
    found = []
    for index, (at, level, title) in enumerate(starts):
        end = next((later for later, other, _ in starts[index + 1 :] if other <= level), len(lines))
        found.append((level, title, "\n".join(lines[at + 1 : end]).strip()))
    return tuple(found)
