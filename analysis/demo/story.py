"""The runs of the demo: what is extracted and swept, and where to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from analysis.runs.loading import Runs, load_many
from probing.corpora import Corpus, load_corpus
from probing.extraction import Machine, Options, extract
from probing.progress import console
from probing.sweep import DepthOptions, SweepOptions, sweep_once

# name of cache and run -> spec
BACKBONES = {"demo": "embedded", "random": "random:embedded", "moonshine": "moonshine"}
CONTROL = "random"  # of which heads would tell nothing


@dataclass(frozen=True)
class Story:
    """What is run.

    folder: of caches, runs, the report and the picture; the first cache and run are those of `probe
        extract` and `probe sweep` with nothing else typed.
    clips: a part of the demo, see `part`; None for all of it.
    extraction, sweep: of every backbone; no heads are trained on random weights.

    >>> Story(clips=8).folder.name
    'results'
    """

    folder: Path = Path("results")
    clips: int | None = None
    extraction: Options = field(default_factory=Options)
    sweep: SweepOptions = field(default_factory=SweepOptions)

    def named(self, name: str) -> Path:
        """A file or folder of the story by its name; a part of the demo has its own."""
        path = self.folder / name
        return (
            path if self.clips is None else path.with_name(f"{path.stem}-{self.clips}{path.suffix}")
        )

    def sweep_options(self, name: str) -> SweepOptions:
        """Options of the sweep of a backbone."""
        return self.sweep if name != CONTROL else replace(self.sweep, depths=DepthOptions(heads=()))


def run(
    story: Story,
    *,
    device: str = "auto",
    overwrite: bool = False,
    say: Callable[[str], None] = console.print,
) -> Runs:
    """Extract and sweep every backbone; what is finished is kept, what was interrupted goes on.

    Args:
        story: what is run.
        device: auto, cpu, cuda.
        overwrite: replace runs that were made another way.
        say: where to put what a person should know.

    Returns:
        The runs, in the order of `BACKBONES`.

    Raises:
        ProbeError: as `extract` and `sweep`: another cache or run has the name.

    >>> small = SweepOptions((0.1,), control_seeds=(), resamples=100, depths=DepthOptions(heads=()))
    >>> heard = Options(seconds=0.25, layers="0:1")
    >>> story = Story(Path("results/story"), clips=4, extraction=heard, sweep=small)
    >>> [found.folder.name for found in run(story, device="cpu", say=lambda text: None)]
    ['demo-4.run', 'random-4.run', 'moonshine-4.run']
    """
    corpus = load_corpus("demo")
    if story.clips is not None:
        corpus = part(corpus, story.clips)
        say(
            f"A part of the demo: {len(corpus)} clips, at most "
            f"{story.clips} of each split and class."
        )
    runs = []
    for number, (name, backbone) in enumerate(BACKBONES.items(), 1):
        say(f"\n{number} of {len(BACKBONES)}: {backbone}")
        options = replace(story.extraction, backbone=backbone)
        cache = extract(story.named(f"{name}.cache"), corpus, options, Machine(device), say=say)
        folder = story.named(f"{name}.run")
        runs.append(
            sweep_once(
                cache,
                folder,
                story.sweep_options(name),
                device=device,
                overwrite=overwrite,
                say=say,
            )
        )
    return load_many(runs)


def part(corpus: Corpus, clips: int, seed: int = 0) -> Corpus:
    """At most so many clips of each split and label, speakers in turn, drawn by chance.

    Args:
        corpus: of which.
        clips: of each split and label.
        seed: of the draw, which the order of the rows does not change.

    >>> from probing.corpora import read_corpus
    >>> table = part(read_corpus("demo"), 4).utterances
    >>> int(table.groupby(["split", "label"]).size().max())
    4
    """
    table = corpus.utterances.sort_values("utterance_id", ignore_index=True)
    table = table.iloc[np.random.default_rng(seed).permutation(len(table))]
    turn = table.groupby(["split", "label", "speaker"]).cumcount()
    table = table.iloc[np.argsort(turn.to_numpy(), kind="stable")]
    chosen = table.groupby(["split", "label"]).head(clips)["utterance_id"]
    kept = corpus.utterances["utterance_id"].isin(chosen)
    return replace(corpus, utterances=corpus.utterances[kept].reset_index(drop=True))
