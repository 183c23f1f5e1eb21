"""Evidence of single checkpoints, for a closer look."""

from pathlib import Path

import pytest

import ncbounds as nb
from ncbounds.errors import ManifestError

LONG_TAIL = Path(__file__).parents[2] / "data/longtail"


def test_evidence_is_what_a_sweep_sees(tmp_path):
    found = nb.load_evidence(LONG_TAIL, only="plain", batch_size=5000)
    assert list(found) == ["plain"]
    mine = nb.evaluate(found["plain"], bounds="binomial").to_frame()
    swept = nb.sweep(
        LONG_TAIL, tmp_path, bounds="binomial", only=["plain"], workers=0, batch_size=5000
    )
    same = ["params", "role", "value", "test_error", "kind"]
    assert mine[same].equals(swept.to_frame()[same])
    assert nb.class_errors(found["plain"])["name"][0] == "T-shirt"


def test_an_unknown_name_is_said(tmp_path):
    with pytest.raises(ManifestError, match="plain"):
        nb.load_evidence(LONG_TAIL, only="plane")


def test_code_that_only_a_manifest_names_is_not_run(tmp_path):
    (tmp_path / "net.py").write_text("raise RuntimeError('run')\n")
    (tmp_path / "zoo.toml").write_text(
        "[tasks.t]\ndata = 'net.py:load'\n[checkpoints.c]\nfile = 'c.pt'\ntask = 't'\n"
        "model = 'net.py:Net'\n"
    )
    with pytest.raises(ManifestError, match="trust"):
        nb.load_evidence(tmp_path)
