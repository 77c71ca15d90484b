"""Kinds of one's own: what is refused, what is never imported unasked, and what they can do beside
a sweep.
"""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.commands.app import main
from analysis.inspection.evidence import GRADIENT, frame_evidence
from analysis.plots.kinds import PLOTS, Plot
from cache import Cache, ProbeError
from probing.backbones import BackboneUnsupported
from probing.backbones.families import FAMILIES, Family
from probing.corpora import KNOWN, Known, load_corpus
from probing.heads.backends import Linear
from probing.heads.contract import check_own
from probing.heads.estimator import MergeClassifier
from probing.heads.head import Head, HeadUnusable, load_head
from probing.heads.kinds import BACKENDS, MERGES, BackendKind, MergeKind
from probing.heads.merges import Merge
from probing.heads.stack import HeadStack, Model
from probing.metrics.figures import METRICS, Metric, Trials, figures_of
from probing.registry import NotImported, RegistryError
from probing.runs import RunWriter
from probing.sweep import DepthOptions, SweepOptions, sweep

HALVES = """
import torch
from probing.heads.backends import BackEnd
from probing.heads.merges import Merge, draw

class Halves(Merge):
    '''Half of every layer.'''
    def __init__(self, depths, n_layers, dim):
        super().__init__(depths, n_layers, dim)
        self.scale = torch.nn.Parameter(torch.zeros(len(depths)))
    def gates(self, x, mask=None):
        return (0.5 + self.scale)[:, None, None] * self.seen[:, None].expand(-1, len(x), -1)

class Squared(BackEnd):
    def __init__(self, n, dim, frames=True):
        super().__init__(n, dim, frames)
        self.weight = torch.nn.Parameter(torch.zeros(n, dim, 1))
        self.bias = torch.nn.Parameter(torch.zeros(n))
    def start(self, generators):
        draw(self.weight, generators, 0.1)
    def forward(self, merge, x, mask):
        squares = merge(x, mask).square()
        total = squares.sum(dim=2) if mask is None else (squares * mask[None, :, :, None]).sum(dim=2)
        return total @ self.weight + self.bias[:, None, None]

class Nothing:
    pass
"""  # noqa: E501


@pytest.fixture
def halves(own: Path) -> str:
    (own / "halves.py").write_text(HALVES)
    return "halves"


def imported(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(os.getcwd())
    import_module(module)


def fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["probe", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def written(head: Head, folder: Path) -> Path:
    writer = RunWriter(folder / "r", {})
    writer.add_heads(head.name, head.tensors(), head.config())
    return writer.partial / "heads" / f"{head.name}.safetensors"


def made(merge: str, backend: str, frames: bool) -> Head:
    stack = HeadStack([Model(merge, backend, 3)], 3, 4, frames)
    stack.start()
    return Head(stack)


def test_names_and_help_need_no_torch() -> None:
    code = (
        "import sys, probing.heads.kinds as k, "
        "analysis.plots.kinds, analysis.commands.app; k.heads_help(); "
    )
    code += "assert 'torch' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("nosuch:Halves+linear", "nosuch: no such module, neither in this folder nor installed"),
        ("halves:Thirds+linear", "the module halves has no Thirds"),
        ("halves:Nothing+linear", "is no class that inherits from probing.heads.merges.Merge"),
        ("halves:Squared+linear", "is no class that inherits from probing.heads.merges.Merge"),
        ("mean+halves:Halves", "is no class that inherits from probing.heads.backends.BackEnd"),
        (
            "broken:Halves+linear",
            "import broken: fails (ZeroDivisionError: division by zero). Mend it",
        ),
        (
            "lacking:Halves+linear",
            "import lacking: fails (ModuleNotFoundError: No module named 'nosuch')",
        ),
        ("nosuch+linear", "merge 'nosuch': expected one of single, mean,"),
    ],
)
def test_a_head_that_cannot_be_made_is_refused_in_one_message(
    halves: str,
    cache_folder: Path,
    head: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch,
) -> None:
    Path("broken.py").write_text("1 / 0")
    Path("lacking.py").write_text("import nosuch")
    assert message in fails(
        capsys, monkeypatch, "sweep", str(cache_folder), "--out", "r", "--heads", head
    )
    assert not Path("r").exists()


def test_no_module_is_imported_that_a_file_or_an_option_of_python_names(
    halves: str,
    cache_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    imported(halves, monkeypatch)
    path = written(made("halves:Halves", "linear", False), Path())
    del sys.modules[halves]
    with pytest.raises(
        HeadUnusable,
        match=r"its merge is not of this package. halves:Halves: .* import halves first",
    ):
        load_head(path)
    # a record of somebody's run can be read
    options = DepthOptions(heads=("halves:Halves+linear",))
    with pytest.raises(ProbeError, match="import halves first") as refused:
        sweep(cache_folder, Path("r"), SweepOptions(depths=options), say=lambda text: None)
    assert isinstance(refused.value.__cause__, NotImported)
    assert halves not in sys.modules
    import_module(halves)
    assert load_head(path).name == "halves:Halves+linear-depth-03"


def test_the_message_ends_in_the_command_to_type(
    own: Path, cache_folder: Path, monkeypatch, capsys
) -> None:
    Path("mine.py").write_text(HALVES)
    imported("mine", monkeypatch)
    options = SweepOptions(
        strengths=(0.1,),
        control_seeds=(),
        resamples=100,
        depths=DepthOptions(
            heads=("mine:Halves+linear",), seeds=(0,), epochs=1, depths=(3,), weight_decays=(0.1,)
        ),
    )
    sweep(cache_folder, Path("my.run"), options, say=lambda text: None)
    del sys.modules["mine"]
    words = [
        "score",
        "my.run",
        str(cache_folder),
        "--head",
        "mine:Halves+linear-depth-03",
        "--out",
        "s.txt",
    ]
    assert f"import mine first: probe --import mine {' '.join(words)}" in fails(
        capsys, monkeypatch, *words
    )
    monkeypatch.setattr(sys, "argv", ["probe", "--import", "mine", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert len(Path("s.txt").read_text().splitlines()) == len(Cache(cache_folder).utterances)


WRONG = {
    "gates of shape (3, 3, 1)": "def gates(self, x, mask=None): return "
    "torch.ones(len(self.depths), len(x), 1)",
    "multiply its gates by self.seen": "def gates(self, x, mask=None): return torch.ones(3, "
    "len(x), x.shape[1])",
    "fails (RuntimeError": "def gates(self, x, mask=None): return x @ x",
    "draw it in start, by the generators": "def start(self, generators, scaled): "
    "self.a.data.normal_()",
    "expected M = 3 models first": "def start(self, generators, scaled): self.b = "
    "torch.nn.Parameter(torch.zeros(2))",
    "behind a tail": "def forward(self, x, mask=None, tail=None): "
    "return super().forward(x, mask)[..., :2]",
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_merge_that_keeps_no_contract_is_refused_before_training(
    own: Path, fault: str, monkeypatch
) -> None:
    lines = ["import torch", "from probing.heads.merges import Merge", "class Wrong(Merge):"]
    lines += [
        "    def __init__(self, depths, n_layers, dim):",
        "        super().__init__(depths, n_layers, dim)",
    ]
    lines += ["        self.a = torch.nn.Parameter(torch.zeros(len(depths), 1))"]
    lines += ["    def gates(self, x, mask=None): return self.seen[:, None].expand(-1, len(x), -1)"]
    Path("wrong.py").write_text("\n".join([*lines, f"    {WRONG[fault]}"]))
    imported("wrong", monkeypatch)
    with pytest.raises(RegistryError) as refused:
        check_own("wrong:Wrong+linear", frames=False)
    expected = "merged layers of shape" if fault == "behind a tail" else fault
    assert expected in str(refused.value)
    assert "wrong:Wrong" in str(refused.value)


def test_every_kind_of_this_package_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    for kinds in (MERGES, BACKENDS):
        monkeypatch.setattr(kinds, "built_in", frozenset())
    for merge in MERGES:
        check_own(f"{merge}+linear", frames=False)
    for backend in BACKENDS:
        check_own(f"sls+{backend}", frames=True)


@pytest.mark.parametrize("frames", [True, False])
def test_what_frames_say_has_the_score_for_its_mean(halves: str, frames: bool, monkeypatch) -> None:
    imported(halves, monkeypatch)
    head = made("halves:Halves", "halves:Squared", frames)
    x = np.random.default_rng(0).normal(size=(3, 9, 4 if frames else 2))
    found = frame_evidence(head, x)
    assert found.how == GRADIENT
    assert found.values.mean() == pytest.approx(found.score)
    assert np.ptp(found.values) > 0


def test_an_estimator_takes_a_registered_class(own: Path) -> None:
    @MERGES.own(MergeKind("even-own", layer_weights="fixed", linear=True))
    class Even(Merge):
        """All layers,
        once.

        Nothing of this is help.
        """

        def gates(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
            return self.seen[:, None].expand(-1, len(x), -1)

    assert MERGES["even-own"].help == "All layers, once."
    y = np.arange(80) % 2
    x = np.random.default_rng(0).normal(size=(80, 2, 3)) + 3 * y[:, None, None]
    assert np.mean(MergeClassifier("even-own", epochs=8).fit(x, y).predict(x) == y) > 0.9


@pytest.mark.parametrize("name", ["mean", "a+b", "a/b", "", "a b", "é"])
def test_a_name_that_is_taken_or_no_part_of_a_file_name_is_refused(own: Path, name: str) -> None:
    with pytest.raises(
        RegistryError,
        match="expected a name of letters" if name != "mean" else "Give yours another",
    ):
        MERGES.own(MergeKind(name))(type("Mine", (Merge,), {}))
    assert set(MERGES) == MERGES.built_in


def test_a_back_end_that_needs_frames_is_refused_on_the_pooled_tier(own: Path) -> None:
    made_by = BACKENDS.own(BackendKind("mine", needs_frames=True))(type("Mine", (Linear,), {}))
    with pytest.raises(ProbeError, match="mine needs every frame"):
        DepthOptions(heads=("mean+mine",))
    with pytest.raises(RegistryError, match="Mine: needs every frame"):
        check_own("mean+mine", frames=False)
    check_own("mean+mine", frames=True)
    assert BACKENDS["mine"].load() is made_by


def test_a_parameter_that_decays_has_to_be_there(own: Path) -> None:
    BACKENDS.own(BackendKind("mine", decays=("wieght",)))(type("Mine", (Linear,), {}))
    with pytest.raises(
        RegistryError, match=r"decays names backend.wieght, and there is no such parameter"
    ):
        check_own("mean+mine", frames=True)


@pytest.mark.parametrize("name", ["eer", "n_spoof", "score"])
def test_a_metric_has_a_column_of_its_own(own: Path, name: str) -> None:
    with pytest.raises(RegistryError, match="the name is taken"):
        METRICS.register(Metric(name, "mine", lambda trials: 0.0))


def test_code_of_ones_own_that_fails_is_named_in_one_message(own: Path) -> None:
    METRICS.register(Metric("odd", "fails", lambda trials: 1 / 0))
    with pytest.raises(RegistryError, match=r"metric odd: fails \(ZeroDivisionError"):
        figures_of(Trials(np.array([True, False]), np.array([1.0, 0.0])))
    KNOWN.register(Known("odd", "fails", lambda root: {}["label"]))
    with pytest.raises(RegistryError, match=r"corpus odd: fails \(KeyError"):
        load_corpus("odd:/data")
    KNOWN.register(Known("odd", "gives no corpus", lambda root: [1]))
    with pytest.raises(
        RegistryError, match="corpus odd: its reader gives a list; expected a Corpus"
    ):
        load_corpus("odd:/data")
    plot = PLOTS.register(Plot("odd", "fails", lambda run: run.nothing))
    with pytest.raises(RegistryError, match=r"plot odd: fails \(AttributeError"):
        plot.draw([Path()])
    FAMILIES.register(Family("odd", "Odd", blocks="encoder.blocks"))
    with pytest.raises(
        BackboneUnsupported, match=r"odd: .* blocks are at 'encoder.blocks', and a Linear has none"
    ):
        FAMILIES["odd"].blocks_of(torch.nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["gates", "--split", "dev"],
            "--split dev: gates is not of one split. Leave it out; layers, depths,",
        ),
        (
            ["layers", "--by", "codec"],
            "--by codec: layers is not by a column. Leave it out; conditions, det take it",
        ),
        (
            ["det", "--compare", "my.run"],
            "--compare: det is drawn of one run. Leave it out; layers, depths, ranking,",
        ),
        (["pareto", "--absolute"], "--relative: pareto has no layers across"),
        (["weights", "--corpus", "x"], "--corpus x: weights is not of one corpus of several"),
    ],
)
def test_an_option_that_a_plot_does_not_take_is_refused(
    words: list[str], message: str, capsys, monkeypatch
) -> None:
    assert message in fails(capsys, monkeypatch, "plot", "no.run", *words, "--out", "x.svg")
