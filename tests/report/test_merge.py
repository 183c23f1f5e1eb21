"""Runs merge: equal rows once, nothing mixed that is not the same, disagreements named."""

from dataclasses import replace

import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of

import ncbounds as nb
from ncbounds.report import Failure, Report
from ncbounds.report.merge import merged, with_earlier


def run(names=("one",), bounds="binomial", shift=0.0, *, key="k", data="d.npz", folder="", **more):
    """A report as a run folder has it; ``shift`` moves the points, so that other rows come out."""
    rows, facts = [], {}
    y = np.arange(60) % 3
    x = np.eye(3)[y] + np.random.default_rng(0).normal(size=(60, 3)) * 0.5 + shift * np.eye(3)[0]
    for name in names:
        evidence = evidence_of(nb.LinearHead(np.eye(3), np.zeros(3)), drawn(x, y), checkpoint=name)
        about = {"weights": f"w{folder}{name}", "data": data}
        found = nb.evaluate(evidence, bounds=bounds, **more)
        rows += [replace(r, provenance={**about, "versions": {"ncbounds": key}}) for r in found]
        facts[name] = {"key": f"{key}{folder}{name}{shift}", "file": f"{folder}{name}",
                       "provenance": about}  # fmt: skip
    return Report(rows, facts=facts, planned=2 * len(names), plan=key, simultaneous=False)


def places(report):
    return [(r.checkpoint, r.bound, str(dict(r.params)), r.provenance["data"]) for r in report]


def test_rows_of_earlier_runs_stay():
    first, second = run(["one"]), run(["two", "three"])
    found = with_earlier(second, first)
    assert places(found.report) == places(first) + places(second)
    assert not found.said
    again = with_earlier(second, found.report)
    assert sorted(places(again.report)) == sorted(places(found.report))
    assert again.report.facts.keys() == {"one", "two", "three"}
    assert with_earlier(found.report, second).report is found.report


def test_a_run_folder_that_was_moved_holds_the_same_checkpoints():
    before, now = run(["one"]), run(["one"])
    before.facts["one"]["file"] = "../elsewhere/one"
    assert with_earlier(now, before).report is now


def test_another_bound_on_the_same_evidence_stays_and_on_other_evidence_is_said_to_be_left_out():
    first, second = run(bounds="binomial"), run(bounds="hoeffding")
    assert places(with_earlier(second, first).report) == places(first) + places(second)
    changed = run(bounds="hoeffding", shift=0.1)
    found = with_earlier(changed, first)
    assert places(found.report) == places(changed)
    (line,) = found.said
    assert line.startswith(f"{len(first)} earlier rows of one are left out")
    # the same bound anew takes the place of what was there
    anew = with_earlier(run(bounds="binomial", delta=0.01), first)
    assert {r.delta for r in anew.report} == {0.01}
    assert not anew.said


def test_another_file_of_that_name_and_other_data_stand_apart():
    first = run(folder="a/")
    found = with_earlier(run(folder="b/"), first).report
    assert [r.checkpoint for r in found] == ["one [a]"] * len(first) + ["one"] * len(first)
    # going back and forth neither loses nor doubles anything
    back = with_earlier(run(folder="a/"), found).report
    assert {r.checkpoint for r in back} == {"one", "one [b]"}
    assert len(back) == len(found)
    other = with_earlier(run(folder="a/", data="e.npz", shift=0.2), first).report
    assert {(r.checkpoint, r.provenance["data"]) for r in other} == {
        ("one", "e.npz"), ("one [d.npz]", "d.npz"),
    }  # fmt: skip


def test_a_checkpoint_that_fails_keeps_its_earlier_rows_beside_the_reason():
    first, bad = run(["one", "two"]), Failure("one", "worker killed")
    for facts in ({}, {"one": {"file": "one", "key": "other"}}, {"one": first.facts["one"]}):
        now = run(["two"])
        found = with_earlier(Report(now.rows, [bad], {**now.facts, **facts}), first)
        assert sorted(places(found.report)) == sorted(places(first))
        assert found.report.failures == (bad,)
        assert found.report.facts["one"] == first.facts["one"]
        assert found.said == ("one failed this time; its 2 earlier rows stay",)
    # what failed under this name is another file: the rows are not its own
    other = with_earlier(Report([], [bad], {"one": {"file": "b/one"}}), run(["one"], folder="a/"))
    assert {r.checkpoint for r in other.report} == {"one [a]"}
    # and where two stand there, neither takes the name of the other
    two = with_earlier(run(folder="b/"), run(folder="a/")).report
    assert sorted(places(with_earlier(Report([], [bad]), two).report)) == sorted(places(two))


def test_a_checkpoint_run_in_another_way_stands_apart():
    ways = {"precision": ("fp32", "bf16"), "limit": (None, 500), "store": (None, "float16")}

    def ran(**how):
        usual = {name: found[0] for name, found in ways.items()}
        plain = run(key=str(sorted(how.items())))
        rows = [replace(r, provenance={**r.provenance, **usual, **how}) for r in plain]
        return Report(rows, facts=plain.facts)

    for name, as_usual in (("precision", "fp32"), ("limit", "all rows"),
                           ("store", "stored as they are")):  # fmt: skip
        found = with_earlier(ran(**{name: ways[name][1]}), ran())
        assert [r.checkpoint for r in found.report] == [f"one [{as_usual}]"] * 2 + ["one"] * 2
        assert found.said == (f"2 earlier rows of one stay as one [{as_usual}]",)
        back = with_earlier(ran(), found.report).report
        assert len(back) == 4
        assert {r.provenance[name] for r in back if r.checkpoint == "one"} == {ways[name][0]}


def test_only_parts_of_one_plan_hold_together():
    def parts(*plans):
        reports = [run([n], key=p) for n, p in zip("ab", plans, strict=True)]
        return [Report(r.rows, facts=r.facts, simultaneous=True, planned=4, plan=r.plan)
                for r in reports]  # fmt: skip

    for plans, together in ((("p", "p"), True), (("p", "q"), False), (("", ""), False)):
        a, b = parts(*plans)
        for report in (with_earlier(b, a).report, merged({"a": a, "b": b}).report):
            assert report.simultaneous is together
            assert report.planned == (4 if together else 0)
    assert "choice among 2 checkpoints, and no certificate by itself." in report.to_screen()


def test_equal_rows_of_several_runs_stand_once():
    a, b = run(["one", "two"]), run(["two", "three"], key="k")
    found = merged({"a": a, "b": b})
    assert not found.said
    assert sorted(places(found.report)) == sorted({*places(a), *places(b)})
    more = merged({"a": run(bounds="binomial"), "b": run(bounds="hoeffding")})
    assert {r.bound for r in more.report} == {"binomial", "hoeffding"}
    assert {r.checkpoint for r in more.report} == {"one"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"shift": 1.5, "key": "q"}, "binomial on holdout is"),
        ({"delta": 0.01, "key": "q"}, "binomial on holdout is"),
        ({"folder": "elsewhere/"}, "other weights"),
        ({"data": "e.npz", "key": "q"}, "other data"),
        ({"bounds": "hoeffding", "key": "q"}, "not known to be the same"),
    ],
)
def test_disagreements_are_named_and_kept_apart(options, says):
    a, b = run(["one", "two"]), run(["one"], **options)
    report, said = merged({"a": a, "b": b})
    (line,) = said
    assert says in line
    assert "kept apart" in line
    names = [r.checkpoint for r in report]
    assert [names.count(n) for n in ("one [a]", "one [b]", "two")] == [2, len(b.rows), 2]
    assert {r.provenance["data"] for r in report if r.checkpoint == "one [b]"} == {
        options.get("data", "d.npz")
    }
    for run_name, original in (("a", a), ("b", b)):
        own = [r for r in report if r.checkpoint == f"one [{run_name}]"]
        assert [r.value for r in own] == [r.value for r in original if r.checkpoint == "one"]


def test_failures_of_several_runs():
    bad, worse = Failure("bad.pt", "empty"), Failure("one", "worker killed")
    a = Report(run().rows, [bad], facts=run().facts)
    b = Report([], [bad, worse])
    found = merged({"a": a, "b": b}).report
    assert [(f.checkpoint, f.reason) for f in found.failures] == [
        ("bad.pt", "empty"), ("one [b]", "worker killed"),
    ]  # fmt: skip
    assert with_earlier(run(["two"]), a).report.failures == (bad,)
    assert with_earlier(Report([], [worse]), a).report.failures == (bad, worse)


def test_a_choice_among_checkpoints_names_the_runs_that_they_are_of():
    rows = run(["a", "b", "c"]).rows
    runs = {"a": "r1", "b": "r1", "c": "r1"}
    report = Report([replace(r, series=runs[r.checkpoint], step=1.0) for r in rows])
    assert "choice among 3 checkpoints of the run r1, and no" in report.to_screen()
    runs["c"] = ""
    report = Report([replace(r, series=runs[r.checkpoint]) for r in rows])
    assert "choice among 3 checkpoints (2 of r1), and no" in report.to_screen()


def test_two_entries_of_one_file_keep_their_rows():
    first = run(["one", "other"])
    facts = {name: {**about, "file": "same.pt"} for name, about in first.facts.items()}
    first = Report(first.rows, facts=facts)
    only = Report([r for r in first if r.checkpoint == "one"], facts={"one": facts["one"]})
    found = with_earlier(only, first)
    assert sorted(places(found.report)) == sorted(places(first))
    assert not found.said


def test_a_choice_that_was_paid_for_is_no_warning():
    for among, said in ((1, True), (2, True), (3, False), (20, False)):
        report = run(["a", "b", "c"])
        paid = [replace(r, details={**r.details, "selected_among": among}) for r in report]
        assert ("is a choice among" in Report(paid).to_screen()) is said
    y = np.arange(60) % 3
    sample = drawn(np.eye(3)[y], y)
    sample = replace(sample, draw=replace(sample.draw, selected_among=20))
    evidence = evidence_of(nb.LinearHead(np.eye(3), np.zeros(3)), sample)
    assert nb.bounds.get("binomial")(evidence).details["selected_among"] == 20


def test_a_series_of_several_runs_stands_in_the_order_of_its_steps():
    def steps(**known):
        report = run(list(known))
        rows = [replace(r, series="r1", step=known[r.checkpoint]) for r in report]
        return Report(rows, facts=report.facts)

    first, other = steps(e10=10.0, e30=30.0, final=np.nan), run(["alone"])
    both = with_earlier(steps(e20=20.0, e5=5.0), with_earlier(other, first).report).report
    assert list(dict.fromkeys(r.checkpoint for r in both)) == [
        *("e5", "e10", "e20", "e30", "final", "alone"),
    ]
    assert "in r1; final has no step and stands last." in both.to_screen()
    together = merged({"a": first, "b": steps(e20=20.0)}).report
    assert list(dict.fromkeys(r.checkpoint for r in together)) == ["e10", "e20", "e30", "final"]


def test_what_is_undefined_is_a_dash_in_every_table():
    rows = [replace(r, value=np.nan) for r in run().rows]
    report = Report(rows)
    for text in (report.to_markdown(), report.to_latex(), report._repr_html_(), repr(report)):
        assert "–" in text
        assert "nan" not in text


def test_margins_and_pairs_of_classes_stay_with_their_checkpoints():
    first, second = run(["one"]), run(["two"])
    first = first.with_facts({"one": {"margins": {"unit": 1.0}, "class_pairs": {"cosines": {}}}})
    for found in (with_earlier(second, first), merged({"a": first, "b": second})):
        kept = found.report.facts
        assert kept["one"]["margins"] == {"unit": 1.0}
        assert kept["one"]["class_pairs"] == {"cosines": {}}
        assert "margins" not in kept["two"]  # of a run that did not keep them
