"""What is attacked: clips of the eval set of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.caches.waveforms import Waveforms
from analysis.robustness.figures import eval_cache
from analysis.runs.loaded_run import LoadedRun
from cache import ProbeError
from probing.audio import SAMPLING_RATE, Cropping
from probing.robustness.attacks import AttackOptions, Pcm, as_pcm
from probing.robustness.judge import Judge
from probing.serving.candidates import LINEAR

Clips = dict[str, Pcm]


def drawn_trials(runs: Sequence[LoadedRun], n: int, seed: int) -> pd.DataFrame:
    """Eval trials that all runs have, as many of each class, by the seed; fewer where a class has
    no more.

    >>> from analysis import load
    >>> drawn_trials([load("results/demo.run")], 4, seed=0)["label"].value_counts().to_dict()
    {'bonafide': 2, 'spoof': 2}
    """
    of_runs = [
        run.trials(f"{LINEAR}{run.record.finding.layer:02d}", run.part("eval")) for run in runs
    ]
    shared = set.intersection(
        *(set(zip(trials["utterance_id"], trials["label"], strict=True)) for trials in of_runs)
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
        other = " and ".join(str(run.folder) for run in runs)
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
    most = max(attack.eps for attack in options.attacks)
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
