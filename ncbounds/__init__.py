"""ncbounds: what can be guaranteed about a saved classifier's error, and under which assumption.

The public names below are imported on first use, so that ``import ncbounds`` costs nothing.

Parts, each of which imports only what stands before it:

numerics, statistics, geometry
    hard functions, one file each; moments of feature rows; class-mean geometry
evidence, claims
    head, samples by role, draw, decision; whose error a row speaks about
depth
    probes at many places of a network, and what is certified of all at once
bounds
    one file per bound, with all that is said about it; what several share
testing
    the battery that every bound keeps, worlds whose true error is known (public:
    nb.testing)
report
    columns, views
choosing
    a head on one of many layers for a new task: shortlist, choice, certificate
checkpoints, extraction, network.reading
    file formats, architectures, the head that proves itself; features in one pass
data, runs, evaluation, certify
    from files or a manifest to stored rows, by one road
code_words
    the frozen code, its search
cli, zoo
    parsing and printing; recipes of the shipped checkpoints
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Public name -> module that has it.
_WHERE = {
    "BoundDisplay": "ncbounds.report.plot.display",
    "Classifier": "ncbounds.checkpoints.head.classifier",
    "Draw": "ncbounds.evidence.draw",
    "Evidence": "ncbounds.evidence.evidence",
    "LinearHead": "ncbounds.evidence.head",
    "NoHead": "ncbounds.evidence.head",
    "MultiClass": "ncbounds.evidence.decision",
    "MultiLabel": "ncbounds.evidence.decision",
    "Report": "ncbounds.report.report",
    "Sample": "ncbounds.evidence.sample",
    "anytime": "ncbounds.comparison.looks",
    "class_errors": "ncbounds.evaluation.classes",
    "confusion": "ncbounds.evaluation.classes",
    "label_errors": "ncbounds.evaluation.label_errors",
    "told_apart": "ncbounds.evaluation.classes",
    "certify_head": "ncbounds.certify.certify",
    "compare": "ncbounds.comparison.comparison",
    "choose": "ncbounds.evaluation.choose",
    "choose_files": "ncbounds.runs.choose",
    "evaluate": "ncbounds.evaluation.evaluate",
    "evaluate_files": "ncbounds.runs.files",
    "extract": "ncbounds.extraction.extract",
    "extract_parts": "ncbounds.extraction.parts",
    "from_sklearn": "ncbounds.procedures.from_sklearn",
    "layers": "ncbounds.evaluation.layers",
    "load_checkpoint": "ncbounds.checkpoints.read",
    "load_chosen": "ncbounds.evaluation.chosen",
    "load_evidence": "ncbounds.runs.evidence",
    "load_report": "ncbounds.report.report",
    "predict": "ncbounds.extraction.predict",
    "read_parts": "ncbounds.extraction.part_folder",
    "register": "ncbounds.registry",
    "shifted": "ncbounds.comparison.shift",
    "split": "ncbounds.evidence.split",
    "sweep": "ncbounds.runs.sweep",
    "with_code_word": "ncbounds.code_words.counted",
}
_MODULES = ("bounds", "claims", "errors", "formulas", "geometry", "numerics", "testing", "zoo")

__all__ = ["__version__", *_WHERE, *_MODULES]

if TYPE_CHECKING:
    from ncbounds import bounds as bounds
    from ncbounds import claims as claims
    from ncbounds import errors as errors
    from ncbounds import formulas as formulas
    from ncbounds import geometry as geometry
    from ncbounds import numerics as numerics
    from ncbounds import testing as testing
    from ncbounds import zoo as zoo
    from ncbounds.certify.certify import certify_head as certify_head
    from ncbounds.checkpoints.head.classifier import Classifier as Classifier
    from ncbounds.checkpoints.read import load_checkpoint as load_checkpoint
    from ncbounds.code_words.counted import with_code_word as with_code_word
    from ncbounds.comparison.comparison import compare as compare
    from ncbounds.comparison.looks import anytime as anytime
    from ncbounds.comparison.shift import shifted as shifted
    from ncbounds.evaluation.choose import choose as choose
    from ncbounds.evaluation.chosen import load_chosen as load_chosen
    from ncbounds.evaluation.classes import class_errors as class_errors
    from ncbounds.evaluation.classes import confusion as confusion
    from ncbounds.evaluation.classes import told_apart as told_apart
    from ncbounds.evaluation.evaluate import evaluate as evaluate
    from ncbounds.evaluation.label_errors import label_errors as label_errors
    from ncbounds.evaluation.layers import layers as layers
    from ncbounds.evidence.decision import MultiClass as MultiClass
    from ncbounds.evidence.decision import MultiLabel as MultiLabel
    from ncbounds.evidence.draw import Draw as Draw
    from ncbounds.evidence.evidence import Evidence as Evidence
    from ncbounds.evidence.head import LinearHead as LinearHead
    from ncbounds.evidence.head import NoHead as NoHead
    from ncbounds.evidence.sample import Sample as Sample
    from ncbounds.evidence.split import split as split
    from ncbounds.extraction.extract import extract as extract
    from ncbounds.extraction.part_folder import read_parts as read_parts
    from ncbounds.extraction.parts import extract_parts as extract_parts
    from ncbounds.extraction.predict import predict as predict
    from ncbounds.procedures.from_sklearn import from_sklearn as from_sklearn
    from ncbounds.registry import register as register
    from ncbounds.report import Report as Report
    from ncbounds.report import load_report as load_report
    from ncbounds.report.plot.display import BoundDisplay as BoundDisplay
    from ncbounds.runs.choose import choose_files as choose_files
    from ncbounds.runs.evidence import load_evidence as load_evidence
    from ncbounds.runs.files import evaluate_files as evaluate_files
    from ncbounds.runs.sweep import sweep as sweep


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(import_module(_WHERE[name]), name)
    elif name in _MODULES:
        value = import_module(f"ncbounds.{name}")
    else:
        raise AttributeError(f"module 'ncbounds' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
