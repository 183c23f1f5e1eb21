"""Every golden item is the subject of some test."""

from __future__ import annotations

import re
from pathlib import Path


def test_every_golden_name_is_tested(golden):
    text = "".join(p.read_text() for p in Path(__file__).parent.glob("test_*.py"))
    tested = set(re.findall(r'@pytest\.mark\.golden\("([^"]+)"\)', text))
    assert tested == set(golden)
