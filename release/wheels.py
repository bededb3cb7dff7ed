"""Builds the packages of a release: the source distribution and a wheel for each platform, and checks what is in them.

`make wheels`, or `python -m release.wheels [--out DIRECTORY] [PLATFORM ...]`.

Cross builds need no machine but this one: zig (the Python package `ziglang`) compiles and links C for every platform,
against the C library that its wheels promise. Of Rust they need the standard library of each target. It is taken from
the toolchain that has it (`rustup target add TARGET`, or a distribution's package for another architecture); where only
its sources are there (`rust-src`), it is built with the rest. A platform for which neither is there is named with the
command that brings it, the others are built, and the exit code is 1: a release lacks no wheel without a word.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from release import contents

REPOSITORY = Path(__file__).resolve().parents[1]

PLATFORMS = {
    "manylinux_2_28_x86_64": "x86_64-unknown-linux-gnu",
    "manylinux_2_28_aarch64": "aarch64-unknown-linux-gnu",
    "musllinux_1_2_x86_64": "x86_64-unknown-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-unknown-linux-musl",
}
"""Wheels of a release, and the Rust target of each."""

AVX_512 = '--cfg curve25519_dalek_backend="avx512"'
"""As in `.cargo/config.toml`, which flags in the environment replace."""

DISTRIBUTION_RUSTC = Path("/usr/bin/rustc")
"""Where a distribution puts its own compiler, beside one of rustup's."""


class Toolchain(NamedTuple):
    """A compiler, and whether it has to build the standard library of a target itself."""

    rustc: str
    builds_std: bool


def toolchain(target: str) -> Toolchain | None:
    """A toolchain for a target: one that has its standard library before one that has the sources of it."""
    found = [rustc for rustc in ("rustc", str(DISTRIBUTION_RUSTC)) if shutil.which(rustc)]
    for rustc in found:
        libraries = Path(said(rustc, "--print", "target-libdir", "--target", target))
        if list(libraries.glob("libstd-*.rlib")):
            return Toolchain(rustc, builds_std=False)
    for rustc in found:
        if (Path(said(rustc, "--print", "sysroot")) / "lib/rustlib/src/rust/library/std").is_dir():
            return Toolchain(rustc, builds_std=True)
    return None


def said(*command: str) -> str:
    """What a command prints; nothing where it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def flags(target: str) -> str:
    """Flags of the compiler: what is built in, and names instead of this machine's folders."""
    cargo_home = os.environ.get("CARGO_HOME") or str(Path.home() / ".cargo")
    names = {f"{cargo_home}/registry/src": "crates", str(REPOSITORY): "finchain"}
    mapped = [f"--remap-path-prefix={path}={name}" for path, name in names.items()]
    return " ".join([*([AVX_512] if target.startswith("x86_64") else []), *mapped])


def build_wheel(platform: str, out: Path) -> None:
    """Builds one wheel.

    Raises:
        LookupError: No toolchain has what the target needs; the message says what brings it.
        subprocess.CalledProcessError: It cannot be built.
    """
    target = PLATFORMS[platform]
    chosen = toolchain(target)
    if chosen is None:
        raise LookupError(f"no standard library of {target} is here: rustup target add {target}")
    environment = {**os.environ, "RUSTFLAGS": flags(target), "RUSTC": chosen.rustc}
    # Cargo would take these in the place of the others.
    environment.pop("CARGO_ENCODED_RUSTFLAGS", None)
    promised = platform.removesuffix(f"_{target.partition('-')[0]}")
    words = ["--release", "--locked", "--zig", "--target", target, "--compatibility", promised]
    # zig is found beside this Python, and the cargo of a compiler beside it.
    places = [Path(sys.executable).parent, *([Path(chosen.rustc).parent] if chosen.rustc != "rustc" else [])]
    environment["PATH"] = ":".join([*map(str, places), environment["PATH"]])
    if chosen.builds_std:
        # Building the standard library with the rest is for those who know it; its sources are those of this compiler.
        environment["RUSTC_BOOTSTRAP"] = "1"
        words += ["-Z", "build-std=std,panic_unwind"]
    maturin("build", *words, "--interpreter", f"python{sys.version_info[0]}.{sys.version_info[1]}", "--out", str(out),
            environment=environment)  # fmt: skip


def maturin(*words: str, environment: dict[str, str]) -> None:
    """Runs maturin in the repository."""
    subprocess.run([sys.executable, "-m", "maturin", *words], cwd=REPOSITORY, env=environment, check=True)


def main() -> int:
    """Builds what is asked for, checks it, and says what is missing."""
    reader = argparse.ArgumentParser(description="Builds and checks the packages of a release.")
    reader.add_argument("--out", type=Path, default=REPOSITORY / "dist")
    reader.add_argument("platforms", nargs="*", metavar="PLATFORM", help=f"of {', '.join(PLATFORMS)}; all without it")
    asked = reader.parse_args()
    if unknown := [each for each in asked.platforms if each not in PLATFORMS]:
        reader.error(f"there is no platform {unknown[0]}; there are {', '.join(PLATFORMS)}")
    platforms = asked.platforms or list(PLATFORMS)
    for path in asked.out.glob("finchain-*"):
        if path.name.endswith((".tar.gz", *(f"{platform}.whl" for platform in platforms))):
            path.unlink()
    maturin("sdist", "--out", str(asked.out), environment=dict(os.environ))
    missing = []
    for platform in platforms:
        try:
            build_wheel(platform, asked.out)
        except (LookupError, subprocess.CalledProcessError) as error:
            missing.append(f"{platform}: {error}")
    packages = sorted(asked.out.glob("finchain-*"))
    faults = [f"{path.name}: {fault}" for path in packages for fault in contents.faults(path)]
    for path in packages:
        print(f"{path.stat().st_size:>12,}  {path.name}")
    for line in [*missing, *faults]:
        print(f"MISSING OR WRONG: {line}", file=sys.stderr)
    return 1 if missing or faults else 0


if __name__ == "__main__":
    sys.exit(main())
