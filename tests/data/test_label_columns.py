"""Several labels a row in tables: every way of writing them says the same, doubts are said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ncbounds.data.label_sets import label_sets
from ncbounds.data.prediction_file import read_predictions
from ncbounds.data.tables import inputs_and_labels
from ncbounds.errors import DataError

NAMES = ("cat", "dog", "fish")
Y = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 0]], dtype=bool)
S = np.array([[2.0, -1, -1], [-3, 0.5, 2], [-1, -1, -1], [4, -0.25, -2]])
SETS = [["cat"], ["dog", "fish"], [], ["cat", "dog"]]
TEXTS = ["|".join(row) for row in SETS]
LISTS = ["['cat']", '["dog", "fish"]', "[]", "['cat', 'dog']"]
NUMBERS = ["0", "1|2", "", "0|1"]
LOGITS = {f"logit_{name}": S[:, k] for k, name in enumerate(NAMES)}


def written(tmp_path: Path, columns: dict, suffix: str = ".csv") -> Path:
    path = tmp_path / f"answers{suffix}"
    if suffix == ".npz":
        np.savez(path, **columns)
    elif suffix == ".parquet":
        pytest.importorskip("pyarrow")
        pd.DataFrame(columns).to_parquet(path)
    else:
        pd.DataFrame(columns).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("columns", "suffix", "names"),
    [
        ({"label": TEXTS, **LOGITS}, ".csv", NAMES),
        ({**{f"label_{n}": Y[:, k].astype(int) for k, n in enumerate(NAMES)}, **LOGITS}, ".csv", 1),
        ({**{f"label_{k}": Y[:, k] for k in (2, 0, 1)}, "logits": list(S)}, ".parquet", ()),
        ({"labels": SETS, **LOGITS}, ".parquet", NAMES),
        ({"label": LISTS, **LOGITS}, ".csv", NAMES),
        (
            {
                "label": ["[0]", "[2, 1]", "[]", "[0,1]"],
                **{f"logit_{k}": S[:, k] for k in range(3)},
            },
            ".csv",
            (),
        ),
        ({"labels": NUMBERS, **{f"logit_{k}": S[:, k] for k in (1, 0, 2)}}, ".csv", ()),
        ({"labels": Y, "logits": S}, ".npz", ()),
        ({"y_true": Y.astype(float), "logits": S}, ".npz", ()),
    ],
)
def test_every_way_of_writing_labels_says_the_same(columns, suffix, names, tmp_path):
    if "logits" in columns and suffix == ".parquet":
        columns = {**columns, **{f"logit_{k}": S[:, k] for k in range(3)}}
        del columns["logits"]
    found = read_predictions(written(tmp_path, columns, suffix), decision="multi-label")
    np.testing.assert_array_equal(found.labels, Y)
    np.testing.assert_array_equal(found.outputs, S)
    assert found.kind == "logits"
    assert found.names == (NAMES if names == 1 else names)


def test_columns_of_labels_are_put_in_the_order_of_the_scores(tmp_path):
    columns = {f"label_{n}": Y[:, k].astype(int) for k, n in reversed([*enumerate(NAMES)])}
    found = read_predictions(written(tmp_path, {**columns, **LOGITS}))
    np.testing.assert_array_equal(found.labels, Y)
    assert found.names == NAMES


def test_predicted_sets_of_names_need_the_number_of_labels(tmp_path):
    path = written(tmp_path, {"label": TEXTS, "predicted": ["cat", "dog", "", "fish|dog"]})
    with pytest.raises(DataError, match="--classes 3 if these are all"):
        read_predictions(path, decision="multi-label")
    found = read_predictions(path, decision="multi-label", count=4)
    assert found.names == (*NAMES, "(not seen 3)")
    np.testing.assert_array_equal(found.labels, np.column_stack((Y, np.zeros(4))))
    np.testing.assert_array_equal(
        found.outputs, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0]]
    )


@pytest.mark.parametrize(
    ("columns", "decision", "says"),
    [
        ({"label": TEXTS, **LOGITS}, None, "type --decision multi-label if it stands between"),
        ({"label_a": [0, 1], "label_b": [1, 1], **{"logit_a": [1, 2], "logit_b": [1, 2]}},
         "multi-class", "leave --decision multi-class out"),
        ({"label_a": [0, 2], "label_b": [1, 1], "logit_a": [1, 2], "logit_b": [1, 2]}, None,
         "is 0 or 1 for each label, found 2"),
        ({"label_a": [0, 1], "label_c": [1, 1], "logit_a": [1, 2], "logit_b": [1, 2]}, None,
         "name different labels: b, c stands on one side"),
        ({"label": ["0", "0|1"], "logit_a": [1, 2], "logit_b": [1, 2]}, "multi-label",
         "which number each label has is not said"),
        ({"label_0": [0, 1], "label_1": [0, 1], "logit_a": [1, 2], "logit_b": [1, 2]}, None,
         "which number each label has is not said"),
        ({"label": ["cat", "cow|dog"], **{k: v[:2] for k, v in LOGITS.items()}}, "multi-label",
         "no label 'cow'"),
        ({"label_0": [0, 1], "label_1": [0, 1], "logit_0": [1, 2], "logit_1": [1, 2],
          "logit_2": [0, 0]}, None, "of different numbers of labels"),
    ],
)  # fmt: skip
def test_doubts_are_said(columns, decision, says, tmp_path):
    with pytest.raises(DataError, match=says):
        read_predictions(written(tmp_path, columns), decision=decision)


def test_one_label_a_row_is_read_as_before(tmp_path):
    path = written(
        tmp_path, {"label": ["cat", "dog"], "label_id": [7, 8], "predicted": ["cat"] * 2}
    )
    found = read_predictions(path)
    assert found.labels.shape == (2,)
    bars = written(tmp_path, {"label": ["a|b", "c"], "predicted": ["a|b", "a|b"]})
    assert read_predictions(bars, decision="multi-class").names == ("a|b", "c")


def test_cells_are_lists_texts_numbers_or_empty():
    cells = [["a", "b"], np.array([1, 2]), (), "a| b", "", float("nan"), None, 3, 4.0]
    assert label_sets(cells, "f") == [
        ("a", "b"), ("1", "2"), (), ("a", "b"), (), (), (), ("3",), ("4",)
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"f: 0\.5 is no label"):
        label_sets([[0.5]], "f")


def test_texts_that_are_lists_say_by_themselves_that_rows_have_several_labels(tmp_path):
    path = written(tmp_path, {"label": LISTS, **LOGITS})
    np.testing.assert_array_equal(read_predictions(path).labels, Y)
    answers = {"label": ["[0, 3]", "[]", "[1]"], "predicted": ["[3,0]", "[ ]", "[2]"]}
    found = read_predictions(written(tmp_path, answers), count=4)
    assert (found.outputs != found.labels).any(axis=1).tolist() == [False, False, True]
    named = written(tmp_path, {"label": ["[UNK]", "cat"], "predicted": ["[UNK]", "[UNK]"]})
    assert read_predictions(named).names == ("[UNK]", "cat")
    one = written(tmp_path, {"label": ["[0]", "[1]"], "predicted": ["[0]", "[0]"]})
    assert read_predictions(one, decision="multi-class").names == ("[0]", "[1]")


@pytest.mark.parametrize(
    ("labels", "decision", "says"),
    [
        (["['cat' 'dog']", "['cat']"], None, "not all of which are lists"),
        (["[0 3]", "[1]"], "multi-label", r"'\[0 3\]' stands in brackets and is no list"),
        (["['cat']", "cat"], None, "write all so, or type --decision multi-class"),
        (["[__import__('os')]", "[1]"], "multi-label", "is no list"),
        (["[0, 1, 0]", "[1]"], None, "0 and 1 for each label stand in columns label_0"),
        (["[0, 1]", "[1, 0]"], None, "0 and 1 for each label stand in columns label_0"),
    ],
)
def test_lists_that_are_not_clear_are_refused(labels, decision, says, tmp_path):
    scores = {f"logit_{k}": [1.0, 2.0] for k in range(3)}
    with pytest.raises(DataError, match=says):
        read_predictions(written(tmp_path, {"label": labels, **scores}), decision=decision)


def test_a_file_of_labels_may_hold_lists_of_any_length(tmp_path):
    ids, found = np.arange(4), np.fromiter(SETS, dtype=object, count=4)
    columns = {"id": ids[::-1], **{k: v[::-1] for k, v in LOGITS.items()}}
    read = read_predictions(written(tmp_path, columns), labels_of=(ids, found))
    np.testing.assert_array_equal(read.labels, Y[::-1])


@pytest.mark.parametrize("lists", ["in texts", "of a column"])
def test_lists_in_a_table_of_data_are_0_and_1_for_each_label(lists, tmp_path, monkeypatch):
    def read(labels):
        frame = pd.DataFrame({"a": [1.0, 2.0], "labels": labels})
        if lists == "in texts":
            return inputs_and_labels(written(tmp_path, frame))
        monkeypatch.setattr(
            pd, "read_parquet", lambda _: frame.assign(labels=[np.array(row) for row in labels])
        )
        return inputs_and_labels(tmp_path / "rows.parquet")

    inputs, labels = read([[0, 1, 1], [1, 0, 0]])
    assert labels.tolist() == [[0, 1, 1], [1, 0, 0]]
    assert inputs.tolist() == [[1.0], [2.0]]
    for odd in ([[0, 3], [1]], [[0, 3], [1, 2]], [["a", "b"], ["a", "c"]]):
        with pytest.raises(DataError, match=r"not 0 or 1 for each label.*columns label_0, label_1"):
            read(odd)
