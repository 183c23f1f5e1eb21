"""Code that a zoo.toml names runs only if a person names it too, or trusts the file."""

import re
import shlex

import pytest
from fixtures.project import make_project, save
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.cli.app import app
from ncbounds.errors import ManifestError
from ncbounds.report import load_report

ZOO = """
[tasks.t]
data = "{data}"
sampling = "iid"
[checkpoints.wide]
file = "wide.pt"
task = "t"
model = "{model}"
args = {{width = 8}}
selected_among = {{holdout = 50}}
"""
#: Each file notes that it was run.
NOTE = "\nopen(__file__ + '.ran', 'a').write('x')\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = make_project(tmp_path / "a project")
    for file in ("net.py", "data.py"):
        (folder / file).write_text((folder / file).read_text() + NOTE)
    save(folder / "wide.pt")
    write(folder)
    monkeypatch.chdir(tmp_path)
    return folder


def write(folder, data="data.py:load", model="net.py:build", more=""):
    (folder / "zoo.toml").write_text(ZOO.format(data=data, model=model) + more)


def evaluate(folder, *options, code=0):
    common = ["evaluate", folder, "--bounds", "binomial", "--workers", "0", "--out", folder / "run"]
    done = CliRunner().invoke(app, [str(a) for a in (*common, *options)])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def ran(folder):
    return sorted(p.name for p in folder.glob("*.ran"))


def test_the_message_names_the_code_and_what_it_says_works(project):
    said = evaluate(project, code=2)
    assert "net.py:build, data.py:load" in said
    assert not ran(project)
    assert not (project / "run").exists()
    advice = shlex.split(re.search(r"name it yourself \((.*?)\), or", said)[1])
    assert advice[0::2] == ["--model", "--data"]
    assert "--data" in evaluate(project, *advice[:2], code=2)  # the other one is still missing
    assert not ran(project)
    evaluate(project, *advice)
    assert ran(project) == ["data.py.ran", "net.py.ran"]
    (row,) = (r for r in load_report(project / "run") if not r.params)
    assert row.kind == "certificate"
    assert row.provenance["data"] == "data.py:load"
    evaluate(project, "--trust", "--fresh")
    assert row.value == load_report(project / "run").rows[0].value


def test_extract_says_what_to_type_and_takes_it(project):
    typed = ["extract", str(project / "wide.pt"), "--out", str(project / "parts"), "--parts", "2"]
    done = CliRunner().invoke(app, typed)
    assert done.exit_code == 2
    assert "pass --trust" in done.output
    assert not ran(project)
    assert CliRunner().invoke(app, [*typed, "--trust"]).exit_code == 0
    assert (project / "parts" / "holdout").is_dir()


def test_in_python(project):
    options = {"bounds": "binomial", "workers": 0}
    with pytest.raises(ManifestError, match=r"trust=True"):
        nb.sweep(project, project / "run", **options)
    with pytest.raises(ManifestError, match=r"--data"):
        nb.sweep(project, project / "run", model="net.py:build", **options)
    assert not ran(project)
    assert nb.sweep(project, project / "run", trust=True, **options).rows


def test_a_file_of_the_same_name_here_is_another_one(project, tmp_path):
    make_project(tmp_path)
    evaluate(project, "--data", "data.py:load", code=2)
    evaluate(project, "--data", f"{project}/data.py:load", "--model", "net.py:build")
    # what was typed is what ran: the manifest's own network did not
    assert ran(project) == ["data.py.ran"]


def test_a_package_beside_the_manifest(project):
    make_project(project / "nets")
    (project / "nets" / "__init__.py").touch()
    write(project, model="nets.net:build")
    evaluate(project, "--model", "nets.net:build", "--data", "data.py:load")
    evaluate(project, "--trust", "--fresh")


def test_several_models_are_trusted_together_and_one_alone_where_it_is_named(project):
    other = '[checkpoints.{0}]\nfile = "{0}.pt"\ntask = "t"\nmodel = "{1}"\n'
    (project / "wide2.pt").write_bytes((project / "wide.pt").read_bytes())
    write(project, more=other.format("wide2", "data.py:build"))
    said = evaluate(project, code=2)
    assert "(--trust;" in said
    assert "name it yourself" not in said
    text = (project / "data.py").read_text()
    (project / "data.py").write_text(text + "from net import build\n")
    evaluate(project, "--trust")
    assert {r.checkpoint for r in load_report(project / "run")} == {"wide", "wide2"}
    mlp = other.format("wide2", "mlp") + "args = {width = 8, in_features = 4, classes = 3}\n"
    write(project, more=mlp)
    code = ["--model", f"{project}/net.py:build", "--data", f"{project}/data.py:load"]
    evaluate(project, *code)
    report = load_report(project / "run")  # the second, of another layout, was left to its own
    assert [f.checkpoint for f in report.failures] == ["wide2"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("roles = {holdout = '0:1'}", "gives each role by itself"),
        ("[tasks.u]\ndata = 'data.py:load'\nlabel_noise = 0.1", "labels are those that"),
    ],
)
def test_declarations_that_code_makes_itself_are_refused(project, change, says):
    write(project, more=change)
    assert says in evaluate(project, "--trust", code=2)
    assert not ran(project)


def test_inspect_names_the_code_and_does_not_run_it(project):
    done = CliRunner().invoke(app, ["inspect", str(project / "wide.pt")])
    said = " ".join(done.output.split())
    assert f"--model {project.resolve()}/net.py:build" in said
    assert not ran(project)


def test_trust_goes_with_a_manifest(project):
    (project / "zoo.toml").unlink()
    code = ["--model", f"{project}/net.py:build", "--data", f"{project}/data.py:load"]
    assert "goes with a zoo.toml" in evaluate(project / "wide.pt", *code, "--trust", code=2)
