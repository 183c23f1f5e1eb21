"""Workers that are killed, raise or lose their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ncbounds.runs.workers import Died, over_workers, say


def job(what, number):
    if what == "say":
        say("half way")
    if what == "raise":
        raise KeyError("a bug")
    if what == "exit":
        os._exit(number)
    if what == "kill":
        os.kill(os.getpid(), number)
        time.sleep(60)
    return number


def test_a_worker_that_dies_is_the_answer_to_its_own_job_alone():
    jobs = [
        ("fine", 0),
        ("kill", signal.SIGKILL),
        ("exit", 3),
        ("raise", 0),
        (lambda: "cannot be sent", 0),
        ("kill", signal.SIGSEGV),
        ("kill", signal.SIGTERM),
        ("fine", 7),
    ]
    found = dict(over_workers(job, jobs, 2))
    assert sorted(found) == list(range(8))
    assert (found[0], found[7]) == (0, 7)
    words = ["SIGKILL (short of memory?", "exit code 3", "KeyError: 'a bug'", "pickle", "SIGSEGV",
             "SIGTERM"]  # fmt: skip
    for number, word in enumerate(words, 1):
        assert isinstance(found[number], Died)
        assert word in found[number].reason


def test_what_a_job_says_on_its_way_is_heard_before_its_answer():
    heard = []
    told = over_workers(job, [("say", 5), ("fine", 6)], 1, lambda *said: heard.append(said))
    assert next(told) == (0, 5)
    assert heard == [(0, "half way")]
    assert list(told) == [(1, 6)]
    assert len(heard) == 1
    say("nobody listens")


def test_jobs_left_behind_are_ended(tmp_path):
    running = over_workers(sleep_noted, [(tmp_path / "a", 0), (tmp_path / "b", 60)], 2)
    assert next(running) == (0, None)
    pid = int(noted(tmp_path / "b"))
    running.close()
    assert not alive(pid)


def sleep_noted(path, seconds):
    path.with_suffix(".tmp").write_text(str(os.getpid()))
    os.replace(path.with_suffix(".tmp"), path)
    time.sleep(seconds)


def noted(path):
    for _ in range(600):
        if path.exists():
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(f"nothing at {path} within 30 s")


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_workers_end_with_their_parent(tmp_path):
    (tmp_path / "parent.py").write_text(
        "import sys, pathlib, test_workers, ncbounds.runs.workers as w\n"
        "if __name__ == '__main__':\n"
        "    list(w.over_workers(test_workers.sleep_noted, [(pathlib.Path(sys.argv[1]), 60)], 1))\n"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py"), str(tmp_path / "note")],
        env={**os.environ, "PYTHONPATH": path},
    )
    pid = int(noted(tmp_path / "note"))
    assert alive(pid)
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not alive(pid):
            return
        time.sleep(0.1)
    raise AssertionError("the worker runs on without its parent")
