"""What a code word computes: exact, and the same wherever it runs."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from fixtures.words import SHAPE, random_network

from ncbounds.code_words import (
    CODEC_VERSION,
    Architecture,
    CodeWordError,
    FrontEnd,
    Layer,
    encode,
    logits,
    predictions,
)
from ncbounds.code_words.code.basis import (
    BANK_GAIN,
    COSINES,
    bank,
    degrees,
    frequencies,
    patterns,
    polynomial,
    scale,
)
from ncbounds.code_words.code.grammar import FRONTS
from ncbounds.code_words.code.integers import (
    BIAS,
    CEILING,
    HEAD_BIAS,
    HEAD_SCALE,
    UNIT,
    _check,
    _norm,
    _read,
    _reduce,
    kernel,
)
from ncbounds.code_words.search.student import Student, prepare, student_logits
from ncbounds.code_words.search.student import _norm as differentiable_norm
from ncbounds.errors import DataError

IMAGES = np.random.default_rng(5).integers(0, 256, (40, 12, 12), dtype=np.uint8)

CHILD = """
import hashlib, sys
import numpy as np
from ncbounds.code_words import decode, logits
network = decode(bytes.fromhex(sys.argv[1]), (1, 12, 12), 5)
images = np.random.default_rng(5).integers(0, 256, (40, 12, 12), dtype=np.uint8)
print(hashlib.sha256(logits(network, images).tobytes()).hexdigest())
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_same_logits_in_a_fresh_process_on_other_threads(threads):
    network = random_network(0)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    child = subprocess.run(
        [sys.executable, "-c", CHILD, encode(network).hex()],
        env={**os.environ, **dict.fromkeys(names, threads)},
        capture_output=True,
        text=True,
        check=True,
    )
    own = hashlib.sha256(logits(network, IMAGES).tobytes()).hexdigest()
    assert child.stdout.strip() == own


def test_rows_do_not_depend_on_their_batch():
    network = random_network(1)
    alone = np.concatenate([logits(network, IMAGES[i : i + 1]) for i in range(len(IMAGES))])
    assert np.array_equal(alone, logits(network, IMAGES))


@pytest.mark.parametrize("centred", [True, False])
def test_against_python_integers(centred):
    """One layer and head on one image, with Python's integers and one rounding at a time."""
    network = random_network(2, (Layer(3, 3, 4, "stride"),), centred=centred, cut=1)
    image = IMAGES[0].astype(int)
    weight = kernel(network.architecture.layers[0], network.codes[0]).astype(int)
    padded = np.pad(4 * image, 1)
    z = [
        [
            int((weight[o, 0] * padded[2 * i : 2 * i + 3, 2 * j : 2 * j + 3]).sum())
            for i in range(6)
            for j in range(6)
        ]
        for o in range(3)
    ]
    flat = [v for row in z for v in row]
    mean = round(Fraction(sum(flat), len(flat))) if centred else 0
    size = sum(abs(v - mean) for v in flat)
    factor = float(UNIT * len(flat)) / float(size)
    x = [
        [
            min(max(round((v - mean) * factor) + BIAS * int(network.biases[0][o]), 0), CEILING)
            for v in row
        ]
        for o, row in enumerate(z)
    ]
    # mean products with 1, i and j, centred, scaled to at most 1 and doubled where not constant
    steps = [2 * i - 5 for i in range(6)]
    planes = [
        ([1 for _ in range(36)], 1, 1),
        ([steps[j] for i in range(6) for j in range(6)], 2, 5),
        ([steps[i] for i in range(6) for j in range(6)], 2, 5),
    ]
    cells = [
        [
            round(
                Fraction(int(sum(a * b for a, b in zip(row, plane))) * gain * HEAD_SCALE, 36 * top)
            )
            for plane, gain, top in planes
        ]
        for row in x
    ]
    head = network.codes[1]
    expected = [
        sum(int(head[c, o, m]) * cells[o][m] for o in range(3) for m in range(3))
        + HEAD_BIAS * int(network.biases[1][c])
        for c in range(5)
    ]
    assert logits(network, IMAGES[:1])[0].tolist() == expected


def test_normalisation_by_hand():
    """Centred by the nearest whole number, halves to even; then mean absolute value 1024."""

    def norm(rows, **options):
        architecture = random_network(0, (Layer(3),), **options).architecture
        z = np.array(rows, dtype=float).reshape(len(rows), 1, 2, -1)
        return _norm(z, architecture).reshape(len(rows), -1)

    # mean 2.75, so 3 is taken off: 11 in all, times 4096 / 11
    assert norm([[0, 1, 2, 8]]).tolist() == [[-1117, -745, -372, 1862]]
    # mean .5 goes to 0, mean 1.5 to 2
    assert norm([[0, 1, 0, 1]]).tolist() == [[0, 2048, 0, 2048]]
    assert norm([[1, 2, 1, 2]]).tolist() == [[-2048, 0, -2048, 0]]
    # not centred; one common mean, or one for each channel
    uneven = [[1, 0, 0, 0], [0, 3, 0, 0]]
    assert norm(uneven, centred=False).tolist() == [[2048, 0, 0, 0], [0, 6144, 0, 0]]
    channels = norm(uneven, centred=False, norm="channel")
    assert channels.tolist() == [[4096, 0, 0, 0], [0, 4096, 0, 0]]
    assert norm([[7, 7, 7, 7], [7, 7, 7, 7]]).tolist() == [[0] * 4] * 2
    # one of 40 positions: 40 times the unit is cut off
    assert norm([[-1] + [0] * 39], centred=False)[0, 0] == -CEILING


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "channel"},
        {"centred": False},
        {"cut": 2},
        {"cut": 3},
        {"reduction": 2},
        {"front": FrontEnd("roots")},
        {"front": FrontEnd("pixels", 3, 1)},
        {"front": FrontEnd("roots", 5, 2), "reduction": 2},
        {"front": FrontEnd("roots", 3, 3), "reduction": 2},
    ],
)
def test_the_torch_form_is_close(options):
    network = random_network(3, **options)
    student = Student(network.architecture, SHAPE, 5)
    student.load(network)
    exact = logits(network, IMAGES) / (HEAD_SCALE * UNIT)
    near = student_logits(student, prepare(IMAGES[:, None], network.architecture)).numpy()
    assert np.abs(near - exact).max() < 0.01 * np.abs(exact).max()


def test_ties_are_undecided():
    network = random_network(4, (Layer(3),))
    network.codes[-1][:] = 0
    network.biases[-1][:] = [1, 1, 0, 0, -1]
    assert (predictions(network, IMAGES) == -1).all()
    network.biases[-1][0] = 2
    assert (predictions(network, IMAGES) == 0).all()


def test_other_images_are_refused():
    network = random_network(0)
    with pytest.raises(DataError, match="uint8"):
        logits(network, IMAGES.astype(np.float32))
    with pytest.raises(DataError, match="shape"):
        logits(network, IMAGES[:, :10])


def test_sums_that_might_not_be_exact_are_refused():
    _check(2.0**20, np.full((1, 10), 2.0**12))
    with pytest.raises(CodeWordError, match="too large"):
        _check(2.0**40, np.full((1, 10), 2.0**12))


@pytest.mark.parametrize("side", [1, 2, 3, 4, 7, 14, 31])
def test_polynomials_are_orthogonal_whole_numbers(side):
    rows = np.stack([polynomial(degree, side) for degree in range(4)])
    assert np.array_equal(rows, np.rint(rows))
    products = rows @ rows.T
    assert np.array_equal(products, np.diag(np.diag(products)))
    # of each degree exactly, as far as there are points
    points = np.arange(side, dtype=float)
    for degree in range(min(side, 4)):
        fit = np.polynomial.Polynomial.fit(points, rows[degree], degree)
        assert np.abs(fit(points) - rows[degree]).max() < 1e-8 * np.abs(rows[degree]).max()
    assert not rows[side:].any()
    assert degrees(2) == [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0)]


def test_depthwise_layers_are_block_diagonal_ones():
    narrow = random_network(6, (Layer(3, 3, 4), Layer(3, 3, 4, "stride", depthwise=True)))
    full = np.zeros((3, 3, narrow.codes[1].shape[2]), dtype=np.int64)
    for channel in range(3):
        full[channel, channel] = narrow.codes[1][channel, 0]
    layers = (
        narrow.architecture.layers[0],
        replace(narrow.architecture.layers[1], depthwise=False),
    )
    wide = replace(
        narrow,
        architecture=replace(narrow.architecture, layers=layers),
        codes=(narrow.codes[0], full, narrow.codes[2]),
    )
    assert np.array_equal(logits(narrow, IMAGES), logits(wide, IMAGES))


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("norm", ["layer", "channel"])
def test_gradient_of_the_norm(centred, norm):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 3, 4, 4, dtype=torch.double, generator=generator, requires_grad=True)
    a = Architecture(centred=centred, norm=norm)
    assert torch.autograd.gradcheck(lambda z: differentiable_norm(z, a), z)


@pytest.mark.parametrize("side", [1, 3, 5])
def test_patterns_are_nearly_orthogonal(side):
    basis = patterns(side, 2 * (side - 1)).reshape(-1, side * side) / 4096
    assert len(basis) == side * side
    assert np.abs(basis @ basis.T - np.eye(side * side)).max() < 0.06
    assert frequencies(side, 0) == [(0, 0)]
    assert all(sum(row) == 0 for row in COSINES[side][1:])


def test_scales_by_hand():
    assert scale("pixels").tolist() == [4 * p for p in range(256)]
    exact = [round(64 * mpmath.sqrt(p)) for p in range(256)]
    assert scale("roots").tolist() == exact
    assert exact[:3] == [0, 64, 91]


@pytest.mark.parametrize("side", [3, 5])
def test_a_bank_is_a_quarter_of_the_mean_and_the_other_patterns(side):
    filters, basis = bank(side, 3), patterns(side, 3)
    assert np.array_equal(filters, np.rint(filters))
    assert np.array_equal(filters[0], basis[0])
    assert np.array_equal(filters[1:], 4 * basis[1:])
    assert np.abs(np.linalg.norm(filters[1:], axis=(1, 2)) / BANK_GAIN - 1).max() < 0.04
    # what is read stays below the ceiling that later sums count on
    assert 1024 * np.abs(filters).sum(axis=(1, 2)).max() / BANK_GAIN < CEILING / 4


def test_reading_by_hand():
    """Two colours with 3x3 filters, in Python's integers; blocks are averaged at the end."""
    colours = IMAGES[:2, :4, :6][None]
    a = Architecture(front=FrontEnd("roots", 3, 2), reduction=2)
    roots = [round(64 * mpmath.sqrt(p)) for p in range(256)]
    mean, across, down, *others = bank(3, 2).astype(int)
    filters = [mean, across, -across, down, -down, *others]
    expected = []
    for image in colours[0]:
        padded = np.pad(np.array([[roots[v] for v in row] for row in image.tolist()]), 1)
        for k, weights in enumerate(filters):
            z = [
                [
                    round(
                        Fraction(
                            sum(
                                int(weights[u][v]) * int(padded[i + u][j + v])
                                for u in range(3)
                                for v in range(3)
                            ),
                            4 * 64**2,
                        )
                    )
                    for j in range(6)
                ]
                for i in range(4)
            ]
            x = [[abs(v) if k >= 5 else max(v, 0) for v in row] for row in z]
            expected.append(
                [
                    [
                        round(Fraction(x[i][j] + x[i][j + 1] + x[i + 1][j] + x[i + 1][j + 1], 4))
                        for j in (0, 2, 4)
                    ]
                    for i in (0, 2)
                ]
            )
    read = _reduce(_read(colours, a.front), 2)
    assert read[:, 0].tolist() == expected
    assert np.abs(UNIT * prepare(colours, a)[0].numpy() - expected).max() < 1


def test_what_is_read_of_a_mirrored_image():
    """Left and right slopes change places, everything else is mirrored."""
    front = FrontEnd("roots", 5, 2)
    own, mirrored = _read(IMAGES[:, None], front), _read(IMAGES[:, None, :, ::-1], front)
    assert np.array_equal(mirrored[..., ::-1], own[[0, 2, 1, 3, 4, 5, 6, 7]])


@pytest.mark.parametrize("reduction", [1, 2, 4])
@pytest.mark.parametrize("front", FRONTS)
def test_both_forms_read_alike(front, reduction):
    """Two colours, sides that the blocks do not fill, and more images than are taken at once."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (300, 2, 9, 7), dtype=np.uint8)
    a = Architecture(front=front, reduction=reduction)
    exact = _reduce(_read(images, front), reduction)
    assert exact.shape == (2 * front.channels, 300, 9 // reduction, 7 // reduction)
    assert np.array_equal(exact, np.rint(exact))
    near = UNIT * prepare(images, a).numpy().transpose(1, 0, 2, 3)
    assert near.shape == exact.shape
    assert np.abs(near - exact).max() < 1.01


def test_a_bank_reads_images_of_any_size():
    wide = np.full((1, 1, 760, 760), 255, dtype=np.uint8)
    read = _read(wide, FrontEnd("roots", 5, 3))
    assert read.shape == (12, 1, 760, 760)
    # far from the border only the constant pattern answers
    assert read[0, 0, 380, 380] == round(1022 * 25 * 29**2 / BANK_GAIN)
    assert not read[1:, 0, 380, 380].any()


def test_blocks_are_averaged_from_the_first_position_on():
    x = np.arange(45.0).reshape(1, 1, 5, 9)
    sums = [[sum(9 * i + j + k for i in range(4) for j in range(4)) for k in (0, 4)]]
    assert _reduce(x, 4)[0, 0].tolist() == [[round(v / 16) for v in row] for row in sums]
    # halves go to even
    assert _reduce(np.array([[[[1.0, 0, 2, 1], [1, 0, 2, 1]]]]), 2).tolist() == [[[[0, 2]]]]


def test_every_reading_means_what_it_meant():
    """The order is part of the code, the values are what its words compute with."""
    order = [(front.scale, front.kernel, front.cut) for front in FRONTS]
    assert order == [
        ("pixels", 1, 0),
        ("roots", 1, 0),
        *(("pixels", side, cut) for side in (3, 5) for cut in (1, 2, 3)),
        *(("roots", side, cut) for side in (3, 5) for cut in (1, 2, 3)),
    ]
    digest = hashlib.sha256()
    for front in FRONTS:
        digest.update(_read(IMAGES[:, None], front).astype(np.int64).tobytes())
    assert digest.hexdigest().startswith("d4a63d01cc7671a4")


@pytest.mark.parametrize(
    ("options", "word", "values"),
    [
        ({}, "d878a3bfa31b11f6", "9b4740eee7fad775"),
        ({"reduction": 2, "norm": "channel"}, "6382af43a5f79f54", "418ec7bab24b8824"),
        ({"reduction": 4, "centred": False}, "f95e1e71dd6b5100", "56d97ef6336dd803"),
        ({"front": FrontEnd("roots", 5, 2)}, "f9b59dbc8f9b2752", "d3d8a8bd54354bce"),
    ],
)
def test_versions_mean_what_they_meant(options, word, values):
    """A change of code or arithmetic is a new version, and pays for it."""
    layers = (Layer(4), Layer(5, 3, 3)) if "reduction" in options else None
    network = random_network(0, layers, cut=2, **options)
    assert CODEC_VERSION == 2
    assert hashlib.sha256(encode(network)).hexdigest().startswith(word)
    whole = logits(network, IMAGES).astype(np.int64)
    assert hashlib.sha256(whole.tobytes()).hexdigest().startswith(values)
