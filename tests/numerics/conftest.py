"""Golden numbers: ``@pytest.mark.golden("A.klinv")`` runs a test once per item of that name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE.parent / "golden.json").read_text())
GOLDEN |= json.loads((HERE / "golden_choosing.json").read_text())


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "golden(name): run once per golden item of that name")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("golden")
    if marker is None:
        return
    items = GOLDEN[marker.args[0]]
    values = [item["value"] for item in items]
    expected = [v if isinstance(v, list) else float(v) for v in values]
    cases = list(zip((item["inputs"] for item in items), expected, strict=True))
    ids = [f"{marker.args[0]}-{i}" for i in range(len(items))]
    metafunc.parametrize(("inputs", "expected"), cases, ids=ids)


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    return dict(GOLDEN)


@pytest.fixture
def agrees():
    """Relative 1e-9, or absolute where the value is below 1e-12."""

    def check(value: float, expected: float) -> None:
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-12 if abs(expected) < 1e-12 else 0)

    return check
