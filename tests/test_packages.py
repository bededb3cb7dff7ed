"""Packages: what belongs into one is there and nothing else, and sources give the build that is measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from release import contents, wheels

from finchain import _core

REPOSITORY = Path(__file__).resolve().parents[1]


def maturin(*words: str | Path, **environment: str) -> None:
    command = [sys.executable, "-m", "maturin", *map(str, words)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution."""
    out = tmp_path_factory.mktemp("sources")
    maturin("sdist", "--out", out)
    (path,) = out.iterdir()
    return path


def test_the_source_distribution_has_what_belongs_there(sources: Path) -> None:
    assert list(contents.faults(sources)) == []


def test_the_module_that_is_tested_has_all_vector_code() -> None:
    """Whoever builds with flags of his own in RUSTFLAGS loses those of `.cargo/config.toml`, and this says so."""
    if os.uname().machine == "x86_64":
        assert _core.vector_code == "AVX-512, AVX2 and serial code"


@pytest.mark.slow
def test_a_wheel_from_the_source_distribution_is_built_with_its_flags_and_runs(sources: Path, tmp_path: Path) -> None:
    """As pip builds it: from the unpacked sources, with nothing of this checkout but compiled dependencies."""
    with tarfile.open(sources) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--out", str(out)],
        cwd=unpacked, env={**os.environ, "CARGO_TARGET_DIR": str(REPOSITORY / "target" / "from-sources")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (wheel,) = out.iterdir()
    # It is linked here, and not for the oldest systems of a release, and names the folders in which it was built.
    allowed = ("names a folder of the machine", "auditwheel", "is tagged linux")
    assert [fault for fault in contents.faults(wheel) if not any(each in fault for each in allowed)] == []
    place = tmp_path / "environment"
    venv.create(place, with_pip=False, system_site_packages=False)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    dependencies = {str(Path(__import__(name).__file__ or "").parents[1]) for name in ("msgspec", "click", "rich")}
    ran = subprocess.run(
        [str(place / "bin" / "python"), "-I", "-c", RUN, str(tmp_path / "installed"), *sorted(dependencies)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "blocks, " in ran.stdout and str(tmp_path / "installed") in ran.stdout


RUN = """
import sys
sys.path[:0] = sys.argv[1:]
import finchain
from finchain import _core, cli
assert _core.vector_code, _core
print(finchain.__file__)
assert cli.run(["explain", "I-1"]) == 0
sys.exit(cli.run(["demo"]))
"""


# ---- what a check finds


def wheel_of(files: dict[str, bytes], path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
METADATA = b"\n".join(
    [
        b"Metadata-Version: 2.4", b"Name: finchain", b"Version: 0.1.0", b"Requires-Dist: msgspec>=0.22",
        b"Requires-Dist: click>=8.1", b"Requires-Dist: rich>=13", b"License-Expression: Apache-2.0",
        b"Requires-Python: >=3.11", *(f"Classifier: {each}".encode() for each in PROJECT["classifiers"]), b"",
    ]
)  # fmt: skip


def module(processor: int = 62, more: bytes = contents.AVX_512_BUILT_IN) -> bytes:
    return contents.ELF + bytes(14) + processor.to_bytes(2, "little") + more


def good() -> dict[str, bytes]:
    files = dict.fromkeys(contents.MUST, b"x") | {f"finchain/docs/{page}.md": b"x" for page in contents.PAGES}
    return files | {contents.MODULE: module(), "finchain-0.1.0.dist-info/METADATA": METADATA}


NAME = "finchain-0.1.0-cp311-abi3-linux_x86_64.whl"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda files: files.pop("finchain/py.typed"), "py.typed is missing"),
        (lambda files: files.pop("finchain/docs/rules.md"), "rules.md is missing"),
        (lambda files: files.update({"tests/test_x.py": b"x"}), "tests/test_x.py does not belong there"),
        (lambda files: files.update({"finchain/_core.so": b"x"}), "_core.so does not belong there"),
        (lambda files: files.update({"finchain/docs/rules.md": b""}), "rules.md is empty"),
        (lambda files: files.update({contents.MODULE: module(183)}), "is not for x86_64"),
        (lambda files: files.update({contents.MODULE: module(more=b"AVX2")}), "built without AVX-512"),
        (lambda files: files.update({contents.MODULE: module() + b".symtab"}), "is not stripped"),
        (lambda files: files.update({contents.MODULE: module() + b"/" + b"home/me/.cargo/x.rs"}), "me/.cargo/x.rs"),
        (
            lambda files: files.update({"finchain-0.1.0.dist-info/METADATA": METADATA.replace(b"3.11", b"3.9")}),
            "Requires-Python >=3.9",
        ),
        (
            lambda files: files.update({"finchain-0.1.0.dist-info/METADATA": METADATA + b"Requires-Dist: six\n"}),
            "it requires",
        ),
        (
            lambda files: files.update({"finchain-0.1.0.dist-info/METADATA": METADATA.replace(b"0.1.0", b"0.0.9")}),
            "version 0.0.9",
        ),
        (
            lambda files: files.update({"finchain-0.1.0.dist-info/METADATA": METADATA.replace(b"Typed", b"Untyped")}),
            "its classifiers",
        ),
    ],
)
def test_what_is_wrong_with_a_wheel_is_said(
    change: Callable[[dict[str, bytes]], object], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "platform_faults", lambda path, tag: iter(()))
    assert list(contents.faults(wheel_of(good(), tmp_path / NAME))) == []
    files = good()
    change(files)
    found = list(contents.faults(wheel_of(files, tmp_path / NAME)))
    assert len(found) == 1 and fault in found[0], found


def test_a_wheel_for_one_python_and_a_file_that_is_no_package_are_said(tmp_path: Path) -> None:
    path = wheel_of(good(), tmp_path / "finchain-0.1.0-cp312-cp312-linux_x86_64.whl")
    assert any("every Python from 3.11 on" in fault for fault in contents.faults(path))
    assert list(contents.faults(tmp_path / "x.zip")) == ["x.zip is neither a wheel nor a source distribution"]


@pytest.mark.parametrize("name", [NAME, "finchain-0.1.0.tar.gz"])
@pytest.mark.parametrize("content", [b"", b"no package"])
def test_a_package_that_is_none_is_said(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    (fault,) = contents.faults(tmp_path / name)
    assert fault.startswith("it cannot be read: ")


# ---- what a build needs


def test_a_build_removes_what_it_builds_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [tmp_path / "notes.txt", tmp_path / "finchain-0.1.0-cp311-abi3-musllinux_1_2_x86_64.whl"]
    old = tmp_path / "finchain-0.1.0-cp311-abi3-manylinux_2_28_aarch64.whl"
    for path in (*kept, old):
        path.write_bytes(b"")
    monkeypatch.setattr(wheels, "maturin", lambda *words, environment: None)
    monkeypatch.setattr(wheels, "toolchain", lambda target: None)
    monkeypatch.setattr(sys, "argv", ["wheels", "--out", str(tmp_path), "manylinux_2_28_aarch64"])
    assert wheels.main() == 1, "it cannot be built here, and an old one does not pass for it"
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_platform_whose_standard_library_is_not_here_is_named_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wheels, "said", lambda *command: str(tmp_path))
    with pytest.raises(LookupError, match="rustup target add aarch64-unknown-linux-musl"):
        wheels.build_wheel("musllinux_1_2_aarch64", tmp_path)


def test_a_toolchain_that_has_the_library_comes_before_one_that_has_its_sources(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(wheels, "said", lambda rustc, *words: str(tmp_path / rustc.strip("/") / words[1]))
    (tmp_path / "rustc/sysroot/lib/rustlib/src/rust/library/std").mkdir(parents=True)
    assert wheels.toolchain("x") == ("rustc", True)
    libraries = tmp_path / "usr/bin/rustc/target-libdir"
    libraries.mkdir(parents=True)
    (libraries / "libstd-1.rlib").touch()
    assert wheels.toolchain("x") == ("/usr/bin/rustc", False)
