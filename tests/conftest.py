"""What every test stands on: how long Hypothesis searches, where the third-party vectors are, and a key folder apart.

`FINCHAIN_PROFILE` chooses the search: `dev` is quick and new each time, `ci` is the same every time, `nightly` is long.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parents[1]

# Machines are shared, so no example is judged by its seconds; only the quick profile complains of slow generation.
settings.register_profile("dev", max_examples=25, stateful_step_count=20, deadline=None, print_blob=True)
settings.register_profile(
    "ci", max_examples=100, stateful_step_count=50, deadline=None, print_blob=True, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.register_profile(
    "nightly", max_examples=2_000, stateful_step_count=100, deadline=None, print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip

PROFILE = os.environ.get("FINCHAIN_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "dev")
settings.load_profile(PROFILE)

# A shell starts what runs in its background with this signal ignored, and whatever a test starts would inherit that:
# a command that a test interrupts would go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Names the profile, so that a log says how hard it searched."""
    return f"hypothesis profile: {PROFILE} (FINCHAIN_PROFILE)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves the slow tests to continuous integration and the night."""
    if PROFILE == "dev":
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: runs with FINCHAIN_PROFILE=ci or nightly"))


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of third-party test vectors, read in place and never copied into the repository."""
    folder = Path(os.environ.get("FINCHAIN_VECTORS") or REPOSITORY.parent / "shared" / "vectors")
    if not folder.is_dir():
        pytest.skip(f"no third-party vectors at {folder}; FINCHAIN_VECTORS names their folder")
    return folder


@pytest.fixture
def key_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key folder of this test alone, which finchain finds through `FINCHAIN_KEYS`."""
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("FINCHAIN_KEYS", str(folder))
    return folder
