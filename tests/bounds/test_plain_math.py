"""Formulas on a terminal: signs in place of commands, and the same meaning."""

import re

import pytest

from ncbounds.bounds import catalogue
from ncbounds.bounds.explain import as_text, when_vacuous
from ncbounds.bounds.plain_math import plain_math
from ncbounds.report.page import catalogue_page


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"R \le \max\{p : P(\mathrm{Bin}(n, p) \le k) \ge \delta\} .",
         "R ≤ max{p : P(Bin(n, p) ≤ k) ≥ δ}."),
        (r"\frac kn + \sqrt{\frac{\ln(1/\delta)}{2n}}", "k/n + √(ln(1/δ)/(2n))"),
        (r"q \ln\frac qp + \frac{a + b}{c}d", "q ln(q/p) + (a + b)/c d"),
        (r"\sum_{i=1}^n \pi_c^2 x_{ij}", "∑_(i = 1)^n π_c² x_ij"),
        (r"(1+k)^{2W} + e^{-cq} - 2^{-53}", "(1 + k)^(2W) + e^(-cq) - 2⁻⁵³"),
        (r"\Big\|\bar{\tilde V} - \hat\mu_{y_i}'\Big\|_F^2", "‖Ṽ\u0304 - μ\u0302_(y_i)'‖_F²"),
        (r"\mathrm{kl}\Big(\frac an \Big\| R\Big) \cdot \big\langle U, V \big\rangle",
         "kl(a/n ‖ R) · ⟨U, V⟩"),
        (r"a \le -b, \quad c \qquad d", "a ≤ -b, c d"),
        (r"\underbrace{\frac ab}_{\text{within}} \cdot c", "a/b [within] · c"),
        (r"\begin{cases} a & x > 0 \\ b & x \le 0 \end{cases}", "{a if x > 0; b if x ≤ 0"),
        (r"\unknown{x}_", r"\unknown{x}_"),
    ],
)  # fmt: skip
def test_formulas_are_written_in_signs(latex, text):
    assert plain_math(latex) == text


def test_lines_of_a_displayed_formula_stay_lines():
    assert plain_math("a &= b , \\\\ c &\\le d", displayed=True) == "a = b,\nc ≤ d"
    assert plain_math("a , \\qquad b", displayed=True) == "a,\nb"


def test_no_unit_shows_a_command_on_the_terminal():
    for b in catalogue():
        shown = as_text(b) + when_vacuous(b)
        assert "\\" not in shown, b.id
        assert ":math:" not in shown, b.id
        assert ":func:" not in shown, b.id


def test_no_formula_of_the_page_shows_a_command():
    formulas = re.findall(r"<math.*?</math>", catalogue_page(None), re.DOTALL)
    assert len(formulas) > 100
    assert not [f for f in formulas if "\\" in f or "<mi>&</mi>" in f]
