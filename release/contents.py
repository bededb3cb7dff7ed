"""What is in a package: the files that belong there and no others, and a module that keeps what its wheel says.

`python -m release.contents PACKAGE ...` checks those that are named.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

CARGO_HOME = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")

MODULE = "finchain/_core.abi3.so"
MUST = ("finchain/__init__.py", "finchain/__init__.pyi", "finchain/_core.pyi", "finchain/py.typed", MODULE)
PAGES = ("domain", "format", "operating", "rules", "threat-model")
"""Pages of the documentation that every installation has, among others."""

MAY = re.compile(
    r"finchain/(\w+/)*\w+\.pyi?|finchain/py\.typed|finchain/docs/[\w-]+\.md|finchain/_core\.abi3\.so"
    r"|finchain-[\d.]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE"
    r"|sboms/[\w-]+\.cyclonedx\.json)"
)
"""Files of a wheel."""

SOURCE_MUST = (
    ".cargo/config.toml", "Cargo.lock", "Cargo.toml", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml",
    "python/finchain/__init__.py", "python/finchain/docs/rules.md", "rust/core/src/lib.rs", "rust/index/src/lib.rs",
    "rust/py/src/lib.rs",
)  # fmt: skip
SOURCE_MAY = re.compile(
    r"\.cargo/config\.toml|Cargo\.(lock|toml)|LICENSE|PKG-INFO|README\.md|pyproject\.toml"
    r"|python/finchain/(\w+/)*[\w-]+\.(pyi?|md|typed)|rust/(core|index|py)/(\w+/)*[\w.-]+\.(rs|toml|txt)"
)
"""Files of a source distribution."""

ELF = b"\x7fELF"
MACHINES = {"x86_64": 62, "aarch64": 183}
"""ELF's numbers of processors."""

AVX_512_BUILT_IN = b"AVX-512, AVX2 and serial code"
"""What the module says of itself (`finchain --version`) where all vector code of the processor is built in."""

THIS_MACHINE = re.compile(
    b"|".join(
        [
            rb"/(?:home|root|Users|mnt|build|tmp|github|workspace)/[\w./-]{3,}",
            *(re.escape(str(path).encode()) + rb"/[\w./-]{3,}" for path in (Path.home(), REPOSITORY, CARGO_HOME)),
        ]
    )
)
"""Folders of whoever built it: those that such folders usually are in, and those of this machine."""


def faults(path: Path) -> Iterator[str]:
    """What is wrong with a package; nothing where all is as it should be."""
    try:
        yield from _faults(path)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        yield f"it cannot be read: {error}"


def _faults(path: Path) -> Iterator[str]:
    if path.name.endswith(".tar.gz"):
        return source_faults(path)
    if path.suffix == ".whl":
        return wheel_faults(path)
    return iter([f"{path.name} is neither a wheel nor a source distribution"])


def source_faults(path: Path) -> Iterator[str]:
    """What is wrong with a source distribution."""
    with tarfile.open(path) as archive:
        members = {each.name.partition("/")[2]: each for each in archive.getmembers() if not each.isdir()}
    yield from (f"{name} is missing" for name in SOURCE_MUST if name not in members)
    yield from (f"{name} does not belong there" for name in members if not SOURCE_MAY.fullmatch(name))
    yield from (f"{name} is a link" for name, each in members.items() if not each.isfile())


def wheel_faults(path: Path) -> Iterator[str]:
    """What is wrong with a wheel."""
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            yield f"{damaged} is damaged"
            return
        files = {name: archive.read(name) for name in archive.namelist()}
    must = (*MUST, *(f"finchain/docs/{page}.md" for page in PAGES))
    yield from (f"{name} is missing" for name in must if name not in files)
    yield from (f"{name} does not belong there" for name in files if not MAY.fullmatch(name))
    yield from (f"{name} is empty" for name, text in files.items() if not text and not name.endswith("py.typed"))
    tags = path.stem.split("-")[2:]
    if tags[:2] != ["cp311", "abi3"]:
        yield f"it is for {'-'.join(tags[:2])}, and one wheel is for every Python from 3.11 on"
    metadata = next((text for name, text in files.items() if name.endswith("/METADATA")), b"")
    yield from metadata_faults(metadata)
    if MODULE in files:
        yield from module_faults(files[MODULE], tags[-1])
        yield from platform_faults(path, tags[-1])


def metadata_faults(text: bytes) -> Iterator[str]:
    """What is wrong with the metadata."""
    stated = message_from_bytes(text)
    expected = {"Name": "finchain", "Requires-Python": ">=3.11", "License-Expression": "Apache-2.0"}
    for name, value in expected.items():
        if stated[name] != value:
            yield f"its metadata state {name} {stated[name]}, and it should be {value}"
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    if stated["Version"] != project["version"]:
        yield f"its metadata state version {stated['Version']}, and this is {project['version']}"
    if stated.get_all("Classifier", []) != project["classifiers"]:
        yield "its classifiers are not those of pyproject.toml"
    requirements = {each.split(">")[0].split("=")[0] for each in stated.get_all("Requires-Dist", [])}
    if requirements != {"click", "msgspec", "rich"}:
        yield f"it requires {sorted(requirements)}"


def module_faults(module: bytes, tag: str) -> Iterator[str]:
    """What is wrong with the compiled module of a wheel with that platform tag."""
    processor = "aarch64" if tag.endswith("aarch64") else "x86_64"
    if module[:4] != ELF or int.from_bytes(module[18:20], "little") != MACHINES[processor]:
        yield f"{MODULE} is not for {processor}"
    if b".symtab" in module:
        yield f"{MODULE} is not stripped"
    if found := THIS_MACHINE.search(module):
        yield f"{MODULE} names a folder of the machine that built it: {found[0].decode()}"
    if processor == "x86_64" and AVX_512_BUILT_IN not in module:
        yield f"{MODULE} was built without AVX-512: the flags of .cargo/config.toml did not reach the compiler"


def platform_faults(path: Path, tag: str) -> Iterator[str]:
    """Whether the module asks more of a system than its platform tag promises; says so where that cannot be seen."""
    try:
        # It comes with auditwheel, and has no types.
        dynamic, files = (importlib.import_module(f"elftools.elf.{name}") for name in ("dynamic", "elffile"))
    except ImportError:
        yield "what it asks of a system was not looked at, because auditwheel is not installed: make wheels installs it"
        return
    if tag.startswith("musllinux"):
        with zipfile.ZipFile(path) as archive:
            sections = files.ELFFile(io.BytesIO(archive.read(MODULE))).iter_sections()
            found = (section for section in sections if isinstance(section, dynamic.DynamicSection))
            needed = {each.needed for section in found for each in section.iter_tags("DT_NEEDED")}
        if needed != {"libc.so"}:
            yield f"it needs {', '.join(sorted(needed))}, and every musl system has libc.so alone"
        return
    command = [sys.executable, "-m", "auditwheel", "show", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    kept = re.search(r'platform tag:\s+"manylinux_(\d+)_(\d+)_', done.stdout)
    promised = re.match(r"manylinux_(\d+)_(\d+)_", tag)
    if kept is None or promised is None:
        yield f"auditwheel finds no platform of manylinux for it: {' '.join((done.stdout + done.stderr).split())}"
    elif [int(each) for each in kept.groups()] > [int(each) for each in promised.groups()]:
        yield f"it needs {kept[0].split()[-1]}, and is tagged {tag}"


def main() -> int:
    """Checks the packages that are named."""
    found = [f"{path}: {fault}" for path in map(Path, sys.argv[1:]) for fault in faults(path)]
    print("\n".join(found) or f"{len(sys.argv) - 1} packages are as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
