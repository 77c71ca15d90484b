"""The tuned row of Pan et al. 2024: the backbone joins the head at epoch 10.

Until then the head is trained on the frozen layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cache.errors import ProbeError
from probing.corpora import KNOWN
from probing.labels import BONAFIDE
from probing.options import command_line
from probing.reproduction.sizes import Calibration
from probing.runs import Run
from probing.scores.files import read_scores
from probing.scores.options import ScoreOptions
from probing.serving import score_inputs
from probing.targets.task import SPOOFING
from probing.tuning import Source, TuneMachine, TuneOptions, tune
from probing.tuning.recipes import recipe_of

if TYPE_CHECKING:
    from probing.reproduction.options import Reproduction

OPTIONS = TuneOptions(recipe="attm")
DEEPEST = 12  # of the paper
PASSES = 3  # forward passes that a training step takes as long as


@dataclass(frozen=True)
class TunedFigures:
    """What the tuned model reached, and took.

    head, depth: that were tuned.
    rates, intervals: corpus -> EER (%) and its 95 % interval in words.
    seconds, memory_bytes: of the tuning, on this machine.

    >>> TunedFigures("attentive+lstm", 12, {"asvspoof2019-la": 0.65}, {}, 3600.0, 2**34).depth
    12
    """

    head: str
    depth: int
    rates: dict[str, float]
    intervals: dict[str, str]
    seconds: float
    memory_bytes: int


def chosen(wanted: Reproduction, depths: tuple[int, ...]) -> tuple[str, int]:
    """The head and the depth that are tuned: attentive, 12 blocks or the most there are below."""
    head = wanted.heads[-1]
    return head, max([k for k in depths if k <= DEEPEST], default=min(depths))


def command(wanted: Reproduction, depths: tuple[int, ...]) -> str:
    """What to type for the tuning alone."""
    head, depth = chosen(wanted, depths)
    device = wanted.device if wanted.device != "auto" else None
    what = {
        "head": head,
        "depth": depth,
        "recipe": OPTIONS.recipe,
        "device": device,
        "skip_eval": True,
    }
    return command_line("probe", "tune", wanted.run_folder, out=wanted.tuned_folder, **what)


def seconds(
    wanted: Reproduction, depths: tuple[int, ...], calibration: Calibration, n_clips: dict[str, int]
) -> float:
    """About what tuning and scoring take; blocks above the depth are not run."""
    share = min(1.0, chosen(wanted, depths)[1] / calibration.n_layers)
    recipe = recipe_of(OPTIONS.recipe)
    epochs = recipe.learning.epochs - recipe.frozen_epochs
    clips = epochs * (PASSES * n_clips["train"] + n_clips["dev"]) + n_clips["eval"]
    return clips * share * calibration.seconds_a_clip


def run_tuned(
    wanted: Reproduction, found: Run, *, options: TuneOptions = OPTIONS, say: Callable[[str], None]
) -> TunedFigures:
    """Tune a head of the sweep and score every corpus; what was finished before is kept.

    Raises:
        ProbeError: the audio of a corpus is not there.

    >>> from probing.reproduction import Reproduction, run
    >>> wanted = Reproduction(roots={"asvspoof2019-la": Path("/data/2019")})
    >>> run_tuned(wanted, run(wanted), say=print).rates  # takes hours  # doctest: +SKIP
    """
    depths = tuple(sorted(int(depth) for depth in set(found.rows("depth")["depth"])))
    head, depth = chosen(wanted, depths)
    source, machine = Source(found.folder, head, depth), TuneMachine(wanted.device)
    tuned = tune(source, wanted.tuned_folder, options, machine, with_eval=False, say=say)
    if tuned is None:
        raise ProbeError(
            "a reproduction runs in one process. Tune by probe tune in several, then run this again"
        )
    rates, intervals = {}, {}
    for corpus in found.corpora:
        if corpus not in wanted.roots:
            say(
                f"Left out of the tuned row: {corpus}, whose audio is needed. To get: "
                f"{KNOWN[corpus].download}"
            )
            continue
        weights = str(tuned.exported.record["weights_sha256"])[:12]
        file = wanted.folder / f"tuned-{weights}.{corpus}.txt"
        if not file.is_file():
            spec = f"{corpus}:{wanted.roots[corpus]}"
            scoring = ScoreOptions(split="eval", form="2019")
            score_inputs(
                wanted.tuned_folder, [], file, scoring, corpus=spec, device=wanted.device, say=say
            )
        rates[corpus], intervals[corpus] = _figures(file, found, corpus)
    record = tuned.record
    return TunedFigures(
        head,
        depth,
        rates=rates,
        intervals=intervals,
        seconds=record["seconds"],
        memory_bytes=record["memory_bytes"],
    )


def _figures(file: Path, found: Run, corpus: str) -> tuple[float, str]:
    """EER (%) with its interval, on the trials of the sweep and by its bootstrap."""
    part = next(
        part
        for part, cache in found.record.caches.items()
        if cache.corpus == corpus and part.startswith("eval")
    )
    name = next(path.name for path in sorted((found.folder / "scores").glob(f"*.{part}.txt")))
    trials = found.trials(name.removesuffix(f".{part}.txt"), part).drop(columns="score")
    scores = read_scores(file)[["utterance_id", "score"]]
    joined = trials.merge(scores, on="utterance_id", how="left", validate="one_to_one")
    if joined["score"].isna().any():
        raise ProbeError(
            f"{file}: lacks scores of "
            f"{int(joined['score'].isna().sum())} trials. Remove it and run again"
        )
    target = joined["label"].eq(BONAFIDE).to_numpy()
    of = SPOOFING.trials(target, joined["score"].to_numpy())
    resamples = found.draw(joined)
    value = of.figures()["eer"]
    interval = SPOOFING.interval(value, of.resampled(resamples)["eer"], resamples)
    return 100 * value, f"{100 * interval.low:.2f} .. {100 * interval.high:.2f}"


def row(figures: TunedFigures, corpora: tuple[str, ...]) -> dict[str, object]:
    """The row of the table beside those of frozen systems."""
    found: dict[str, object] = {"system": f"{figures.head}, fine-tuned", "depth": figures.depth}
    for corpus in corpora:
        found |= {corpus: figures.rates.get(corpus, float("nan"))}
        found |= {f"{corpus} 95 %": figures.intervals.get(corpus, "")}
    return {**found, "seconds": figures.seconds, "memory_bytes": figures.memory_bytes}
