"""A run's own log: joined by step, whatever else the file holds."""

import pytest

from ncbounds.data.run_log import read_log
from ncbounds.errors import DataError


def written(tmp_path, text):
    path = tmp_path / "run.csv"
    path.write_text(text)
    return path


def test_numbers_are_found_by_step_and_words_are_left_out(tmp_path):
    log = read_log(written(tmp_path, "step, loss,note,lr\n1,.5,a,.1\n2,.25,b,.1\n4,.1,c,.05\n"))
    found = log.at({"e1": 1.0, "e3": 3.0, "e4": 4.0}, last=["final"])
    assert found == {
        "e1": {"loss": 0.5, "lr": 0.1},
        "e4": {"loss": 0.1, "lr": 0.05},
        "final": {"loss": 0.1, "lr": 0.05},
    }


def test_lines_of_one_step_complete_each_other_and_the_later_one_counts(tmp_path):
    text = "step,train_loss,val_loss\n1,.5,\n1,,.7\n1,.4,\n2,,.6\n"
    log = read_log(written(tmp_path, text))
    assert log.at({"a": 1.0, "b": 2.0}) == {
        "a": {"train_loss": 0.4, "val_loss": 0.7},
        "b": {"val_loss": 0.6},
    }


def test_steps_are_epochs_where_more_of_them_are(tmp_path):
    log = read_log(written(tmp_path, "epoch,step,loss\n1,500,.5\n2,1000,.25\n"))
    assert log.at({"a": 1.0, "b": 2.0})["b"] == {"step": 1000.0, "loss": 0.25}
    assert log.at({"a": 500.0}) == {"a": {"epoch": 1.0, "loss": 0.5}}


def test_a_log_of_other_steps_says_nothing_even_of_the_last(tmp_path):
    log = read_log(written(tmp_path, "step,loss\n100,.5\n200,.25\n"))
    assert log.at({"a": 1.0, "b": 2.0}, last=["final"]) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("loss,lr\n1,2\n", "no column of numbers called step .or epoch.*found 'loss', 'lr'"),
        ("step,loss\nx,1\n", "no column of numbers called step"),
        ("", "cannot be read"),
        (None, "cannot be read: No such file"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path, text, said):
    path = tmp_path / "none.csv" if text is None else written(tmp_path, text)
    with pytest.raises(DataError, match=said):
        read_log(path)
