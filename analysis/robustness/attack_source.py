"""What is attacked: layers and a head of a run, and clips of its eval set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.caches.waveforms import Waveforms
from analysis.robustness.measuring import eval_cache, known_heads
from analysis.runs.loaded_run import LoadedRun
from cache import ProbeError
from cache.errors import OptionError
from probing.audio import SAMPLING_RATE, Cropping
from probing.options import write_whole
from probing.robustness.attacks import WORDS, AttackOptions, Pcm, as_pcm
from probing.robustness.judge import Judge
from probing.serving.heads import LINEAR, Candidate, choose_head

Clips = dict[str, Pcm]


def chosen_layers(text: str, known: Sequence[int]) -> list[int]:
    """The layers that a text names: numbers, or the words first (above 0), middle and last.

    Args:
        text: numbers and words with commas between.
        known: the layers that there are, ascending.

    Raises:
        OptionError: another word, or a layer that there is not.

    >>> chosen_layers("first,middle,last", range(7)), chosen_layers("0,last", range(5))
    ([1, 3, 6], [0, 4])
    """
    last = known[-1]
    middle = min(known, key=lambda layer: (abs(2 * layer - last), -layer))
    words = dict(
        zip(WORDS, (next((layer for layer in known if layer), last), middle, last), strict=True)
    )
    words |= {str(layer): layer for layer in known}
    parts = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [part for part in parts if part not in words]
    if unknown or not parts:
        wrong = (
            f"{unknown[0]!r} is none of the layers {write_whole(known)}"
            if unknown
            else "names no layer"
        )
        raise OptionError(
            "layers", text, f"{wrong}. Expected numbers, or {', '.join(WORDS)}, with commas between"
        )
    return sorted({words[part] for part in parts})


def attacked_heads(run: LoadedRun, layers: str, head: str | None) -> list[Candidate]:
    """The probes and the head of a run that are attacked, or judge.

    >>> from analysis import load
    >>> [one.name for one in attacked_heads(load("results/demo.run"), "1,last", None)]
    ['linear-layer-01', 'linear-layer-04']
    """
    probes = {one.depth: one for one in known_heads(run, heads=False)}
    try:
        chosen = [probes[layer] for layer in chosen_layers(layers, list(probes))]
    except OptionError as error:
        raise OptionError("layers", layers, f"{run.folder}: {error.expected}") from None
    if head is not None:
        about = choose_head(run, name=head).about
        chosen += [about] if about not in chosen else []
    return chosen


def drawn_trials(runs: Sequence[LoadedRun], n: int, seed: int) -> pd.DataFrame:
    """Eval trials that all runs have, as many of each class, by the seed; fewer where a class has
    no more.

    >>> from analysis import load
    >>> drawn_trials([load("results/demo.run")], 4, seed=0)["label"].value_counts().to_dict()
    {'bonafide': 2, 'spoof': 2}
    """
    of_runs = [
        one.trials(f"{LINEAR}{one.record.finding.layer:02d}", one.part("eval")) for one in runs
    ]
    shared = set.intersection(
        *(set(zip(one["utterance_id"], one["label"], strict=True)) for one in of_runs)
    )
    trials = of_runs[0][
        [row in shared for row in zip(of_runs[0]["utterance_id"], of_runs[0]["label"], strict=True)]
    ]
    trials = trials.drop(columns="score").sort_values("utterance_id", ignore_index=True)
    of_classes = [
        np.flatnonzero(trials["label"] == label) for label in sorted(trials["label"].unique())
    ]
    generator = np.random.default_rng(seed)
    most = min(n // 2, *map(len, of_classes))
    chosen = [row for rows in of_classes for row in generator.permutation(rows)[:most]]
    if trials["label"].nunique() < 2:
        other = " and ".join(str(one.folder) for one in runs)
        raise ProbeError(
            f"{other}: share {len(trials)} eval utterances, not of "
            "both classes. Name runs of the same corpus"
        )
    return trials.iloc[np.sort(chosen)].reset_index(drop=True)


def loaded_clips(
    run: LoadedRun,
    trials: pd.DataFrame,
    judges: Sequence[Judge],
    options: AttackOptions,
    audio_root: Path | None,
) -> tuple[Clips, dict[str, str]]:
    """The audio of trials as 16-bit samples, as long as any judge hears it; and why clips cannot be
    used.
    """
    longest = max(judge.options.cropping.n_samples() for judge in judges)
    cache = eval_cache(run)
    waveforms = Waveforms(cache, audio_root, Cropping(longest / SAMPLING_RATE))
    if waveforms.view is not None:
        raise ProbeError(
            f"{cache.folder}: is heard through a view. Attack a run of the clean cache"
        )
    paths = cache.utterances.set_index("utterance_id")["path"]
    clips, left_out = {}, {}
    most = max(one.eps for one in options.attacks)
    for name in trials["utterance_id"]:
        pcm = as_pcm(waveforms.load(name, paths[name]))
        peak = int(np.abs(pcm.astype(np.int32)).max())
        if peak <= most:
            left_out[name] = f"its peak is {peak} steps of 16-bit samples, within the largest eps"
        else:
            clips[name] = pcm
    return clips, left_out


def check_classes(
    run: LoadedRun, trials: pd.DataFrame, left_out: Mapping[str, str]
) -> pd.DataFrame:
    """Trials without those left out; an error if not both classes remain.

    >>> from analysis import load
    >>> run = load("results/demo.run")
    >>> len(check_classes(run, drawn_trials([run], 4, seed=0), {}))
    4
    """
    trials = trials[~trials["utterance_id"].isin(set(left_out))].reset_index(drop=True)
    if trials["label"].nunique() < 2:
        why = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:3])
        raise ProbeError(f"{run.folder}: of the clips drawn, not both classes can be used ({why})")
    return trials
