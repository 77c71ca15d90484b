"""What a report shows of the companions of a run: robustness, early exit, attacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from analysis.plots.exits import exit_curve
from analysis.reports.figures import figure, note, picture
from analysis.reports.page import Section
from analysis.reports.tables import table_of
from analysis.runs.companions import Companion
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import load
from cache import ProbeError
from cache.bounds import read_bytes
from probing.exits.stored import read_exits

MOST_BYTES = 2**16  # of a sentence


def sections_of_companions(
    run: LoadedRun, found: Sequence[Companion], left_out: Sequence[str] = ()
) -> list[Section]:
    """A section of each; and why folders beside the run were left out.

    >>> from analysis import load
    >>> from analysis.runs.companions import companions_of
    >>> run = load("results/demo.run")
    >>> found, _ = companions_of([run])
    >>> [section.title for section in sections_of_companions(run, found[0])]
    ['What survives noise, codecs and rooms', 'When to stop', 'What attacks do']
    """
    sections = [
        SECTIONS[companion.kind](load(run.folder, companion.about["corpus"]), companion)
        for companion in found
    ]
    return [
        *sections,
        *([Section("Left out", [note(line) for line in left_out])] if left_out else []),
    ]


def _robustness(run: LoadedRun, of: Companion) -> Section:
    # take seconds
    from analysis.robustness import (
        read_robustness,
        read_table,
        robustness_map,
        snr_curve,
        snr_kinds,
    )

    found = read_robustness(run, of.folder)
    layers = read_table(
        of.folder / "layers.csv", ("layer", "clean", "eer", "rise", "rise_low", "rise_high")
    )
    ends = (
        layers["rise_low"].map("{:.1f}".format) + " .. " + layers["rise_high"].map("{:.1f}".format)
    )
    shown = layers[["layer", "clean", "eer", "rise"]].assign(**{"rise 95 %": ends})
    changes = [name for name in CHANGES if name in layers]
    shown[list(map(CHANGES.get, changes))] = layers[changes].map("{:.3f}".format)
    curves = [
        figure(f"EER by SNR of {kind}", partial(snr_curve, found, kind))
        for kind in snr_kinds(found)
    ]
    return Section(
        "What survives noise, codecs and rooms",
        [
            note(_sentence(of.folder)),
            picture("EER by layer and condition", robustness_map(found)),
            *curves,
            table_of(shown),
            note(
                f"From {of.folder.name}. Probes trained on clean audio; means over "
                f"{len(found.conditions)} conditions, in per cent and points. Noise to signal: "
                "how far a layer moves, as a share of its norm."
            ),
        ],
    )


def _exits(run: LoadedRun, of: Companion) -> Section:
    found = read_exits(of.folder, dict(of.about))
    leaving = found.leaving.set_index("depth").mul(100).reset_index().astype({"depth": int})
    attacks = found.by_attack
    shares = ["blocks", "eer", "eer_full", "difference", "low", "high"]
    few = attacks.reindex(columns=["attack", "n_spoof", *shares])  # without any that has figures
    of_attacks = few.assign(**{name: 100 * few[name] for name in shares}) if len(few) else None
    return Section(
        "When to stop",
        [
            note(found.sentence),
            figure("EER by share that is computed", lambda ax: exit_curve(run, found, ax)),
            note(f"From {of.folder.name}. Eval utterances that leave at each depth (%)."),
            table_of(leaving),
            *([table_of(of_attacks)] if of_attacks is not None else []),
        ],
    )


def _attack(run: LoadedRun, of: Companion) -> Section:
    from analysis.robustness import attack_map, read_attacks

    found = read_attacks(run, of.folder, of.about)
    drawn = [picture("EER by judge and attack", attack_map(found))]
    if found.smoothing:
        smooth = found.smoothing.smooth
        drawn.append(
            picture(
                f"EER over {smooth} noised copies by judge and attack", attack_map(found, smooth)
            )
        )
    return Section(
        "What attacks do", [note(_sentence(of.folder)), *drawn, note(f"From {of.folder.name}.")]
    )


CHANGES = {
    "noise_to_signal": "noise to signal",
    "cosine": "cosine",
    "frames_noise_to_signal": "of frames: noise to signal",
    "frames_cosine": "of frames: cosine",
}
SECTIONS: dict[str, Callable[[LoadedRun, Companion], Section]] = {
    "robustness": _robustness,
    "exits": _exits,
    "attack": _attack,
}


def _sentence(folder: Path) -> str:
    path = folder / "finding.txt"
    try:
        return read_bytes(path, MOST_BYTES).decode().strip()
    except (OSError, ValueError) as error:
        raise ProbeError(
            f"{path}: cannot be read ({error}). Run the command that wrote it again"
        ) from None
