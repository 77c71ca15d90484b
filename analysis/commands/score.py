"""The command `probe score`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.arguments import (
    AudioRoot,
    Device,
    HeadName,
)
from analysis.commands.printing import out
from analysis.runs.kinds import EXPORT, RUN, expect
from cache.errors import ProbeError
from probing.progress import console
from probing.scores.files import check_score_file


def score(
    where: Annotated[Path, typer.Argument(metavar="WHERE", help="A run, or a folder of probe export.")],
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[INPUT...]", help="One cache, or audio files and folders of them; or give --corpus."),
    ] = None,
    *,
    file: Annotated[Path, typer.Option("--out", metavar="FILE", help="Score file to write.")],
    head: HeadName = None,
    form: Annotated[
        str | None,
        typer.Option(
            help="2019 (utterance attack key score), 2021 (utterance score) or 5 (filename, tab, cm-score, with a "
            "header) [default: 2019 with labels, else 2021]."
        ),
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="Score the audio of a corpus, as probe extract --corpus, under its ids."),
    ] = None,
    audio_root: AudioRoot = None,
    split: Annotated[str | None, typer.Option(help="Only this split of a cache or corpus [default: all].")] = None,
    device: Device = "cpu",
) -> None:
    """Score a cache, a corpus or audio with a trained head, higher for bona fide.

    Audio that cannot be used is told and left out. With labels, the EER of each split is printed.

    \b
    probe score results/demo.run results/demo.cache --split eval --out scores.txt
    probe score small recordings extra.wav --out scores.txt
    probe score small --corpus asvspoof2019-la:/data/asvspoof2019 --split eval --out scores.txt
    """
    check_score_file(file, form)
    expect(where, RUN, EXPORT)
    for path in inputs or ():
        if not path.exists():
            raise ProbeError(f"{path}: no such file or folder. Name a cache, audio files, or folders of them")
    found = import_module("probing.serving").score_inputs(
        where,
        inputs or [],
        file,
        corpus=corpus,
        audio_root=audio_root,
        head=head,
        form=form,
        split=split,
        device=device,
        on_failure=lambda name, reason: console.print(f"{name}: {reason}; left out", markup=False),
    )
    for name, evaluation in found.evaluations.items():
        out.print(f"EER of {name}: {evaluation.sentence.removeprefix('EER ')}")
    left = f", {found.left_out} left out" if found.left_out else ""
    out.print(f"{found.head}: {found.scored} scored{left}\nScores: {file}", markup=False)
