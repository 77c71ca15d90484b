"""Attacks on the probes and heads of a run, judged by the same ones (white box) and by others
(black box).

Every figure of attacked clips is paired with that of the same clips as they were, at the threshold
of the clean dev set as well. Judges score as `probe score` does, with smoothing too if that is
asked for.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.caches.waveforms import Waveforms
from analysis.robustness.attack_table import AttackTable
from analysis.robustness.measuring import CLEAN, eval_cache, known_heads
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import Runs
from cache import ProbeError
from cache.errors import OptionError, argument
from probing.audio import SAMPLING_RATE, Cropping
from probing.augmentation.smoothing import Smoothing
from probing.extraction import Machine
from probing.extraction.states import batches
from probing.labels import BONAFIDE
from probing.options import write_whole
from probing.progress import progress_line
from probing.robustness.attacks import (
    WORDS,
    Attack,
    AttackOptions,
    Pcm,
    Slopes,
    as_pcm,
    over_copies,
    perturb,
    snr_db,
)
from probing.robustness.judge import Judge
from probing.robustness.white_box import WhiteBox
from probing.serving.heads import LINEAR, Candidate, choose_head

Clips = dict[str, Pcm]


@dataclass(frozen=True)
class Attacks:
    """Figures of attacked clips, in per cent and points of EER.

    run: that was attacked. names: of it and of the other judges, in their order.
    table: a row an attack, its source, its judge and a way of scoring, `clean` rows first: source
        and source_head; judge, judge_head; access (`white box`, `other head` of the same backbone,
        `other backbone`); attack (`pgd-8`), method, eps; smooth (copies, 0 for none); then what
        `analysis.robustness.measure` says of a condition: eer, low, high, rise, ..., miss and
        false_alarm at the threshold of the clean dev set, ...; success (share of the clips that
        were decided right and are not any more), loss and loss_rise (cross-entropy of the true
        class by the score, nats), snr_db (of the change, mean over clips).
    trials: the clips, with label, speaker and attack. left_out: name -> why, of clips that were
    drawn and not used. smoothing: of the rows with copies. adaptive: whether the attacks knew of
    it. cost: how many times as long smoothed scores took; None without smoothing. kept: (head,
    attack) -> name -> samples, of the attacked clips; `clean` too; empty unless asked for.
    """

    run: LoadedRun
    names: tuple[str, ...]
    table: pd.DataFrame
    trials: pd.DataFrame
    left_out: Mapping[str, str]
    smoothing: Smoothing
    adaptive: bool = False
    cost: float | None = None
    kept: Mapping[tuple[str, str], Clips] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """What its tables do not say, as JSON has it, for `read_attacks`."""
        of_copies = {"smooth": self.smoothing.smooth, "noise_snr": self.smoothing.noise_snr}
        return {
            "names": list(self.names),
            **of_copies,
            "adaptive": self.adaptive,
            "cost": self.cost,
        }

    def rows(self, smooth: int = 0) -> pd.DataFrame:
        """The rows of attacks, scored with so many copies or none."""
        return self.table[(self.table["attack"] != CLEAN) & (self.table["smooth"] == smooth)]


def attack_run(
    run: LoadedRun,
    against: Sequence[LoadedRun] = (),
    *,
    options: AttackOptions | None = None,
    smoothing: Smoothing | None = None,
    audio_root: Path | None = None,
    machine: Machine | None = None,
    keep: bool = False,
) -> Attacks:
    """Attack the probes of some layers of a run, and let these and those of other runs judge.

    Args:
        run: of bona fide against spoof; its backbone and eval audio must be there.
        against: runs that judge as well, whose eval has the same utterances.
        options: which attacks, on which layers and head of every run, on how many clips.
        smoothing: noised copies that judges score as well, to compare; attacks know of them only if
            they are adaptive.
        audio_root: where the audio of the run's cache is now.
        machine: device, and clips a forward pass.
        keep: give the attacked clips as well.

    Raises:
        ProbeError: a run, layer or head that there is not, other utterances, or a backbone without
            gradients.
    """
    options, machine = options or AttackOptions(), machine or Machine()
    smoothing = smoothing or Smoothing()
    if options.adaptive and not smoothing:
        raise OptionError(
            "adaptive", True, f"is of noised copies. Say how many: {argument('smooth', 'N')}"
        )
    runs = [run, *against]
    folders = [one.folder.resolve() for one in runs]
    if len(set(folders)) < len(folders):
        raise ProbeError(
            f"{argument('against', against[-1].folder)}: a run is there twice. Name each once"
        )
    heads = [_heads(one, options.layers, options.head) for one in runs]
    trials = drawn_trials(runs, options.clips, options.seed)
    judges = [
        Judge(one, [choose_head(one, name=about.name).head for about in known], machine)
        for one, known in zip(runs, heads, strict=True)
    ]
    clips, left_out = _clips(run, trials, judges=judges, options=options, audio_root=audio_root)
    _check_classes(run, trials, left_out)
    ways = [Smoothing(), smoothing] if smoothing else [Smoothing()]
    clean: dict[int, list[Any]] = {}
    seconds = []
    for judge in judges:  # neither way of scoring is to wait for a model that is loaded
        judge.scores(dict(list(clips.items())[:1]), Smoothing(), {})
    for way in ways:
        start = time.perf_counter()
        clean[way.smooth] = [judge.scores(clips, way, left_out) for judge in judges]
        seconds.append(time.perf_counter() - start)
    trials = _check_classes(run, trials, left_out)
    clips = {name: clips[name] for name in trials["utterance_id"]}
    bonafide = trials["label"].eq(BONAFIDE).to_numpy()
    names = tuple(Runs(runs).names)
    table = AttackTable(runs, names, heads=heads, trials=trials, bonafide=bonafide)
    for way in ways:
        table.add_clean(way, clean[way.smooth])
    kept: dict[tuple[str, str], Clips] = {("", CLEAN): clips} if keep else {}
    n_steps = sum(one.steps if one.method == "pgd" else 1 for one in options.attacks)
    with progress_line("Attacking", len(heads[0]) * n_steps * len(clips), "slopes") as line:
        for number, about in enumerate(heads[0]):
            white_box = judges[0].white_box(number)
            slopes: Slopes = white_box.slopes
            if options.adaptive:
                slopes = over_copies(slopes, replace(smoothing, seed=smoothing.seed + 1))
            for one in options.attacks:
                attacked = _attacked(
                    white_box,
                    slopes,
                    clips=clips,
                    bonafide=bonafide,
                    attack=one,
                    seed=options.seed,
                    machine=machine,
                    advance=line.advance,
                )
                kept |= {(about.name, one.name): attacked} if keep else {}
                ratios = [snr_db(clips[name], attacked[name]) for name in clips]
                for way in ways:
                    scores = [judge.scores(attacked, way) for judge in judges]
                    table.add(about, one, way=way, scores=scores, ratio=float(np.mean(ratios)))
    cost = seconds[1] / seconds[0] if smoothing else None
    return Attacks(
        run,
        names,
        table=table.frame(),
        trials=trials,
        left_out=left_out,
        smoothing=smoothing,
        adaptive=options.adaptive,
        cost=cost,
        kept=kept,
    )


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


def _heads(run: LoadedRun, layers: str, head: str | None) -> list[Candidate]:
    """The probes and the head of a run that are attacked, or judge."""
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


def _clips(
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


def _check_classes(
    run: LoadedRun, trials: pd.DataFrame, left_out: Mapping[str, str]
) -> pd.DataFrame:
    """Trials without those left out; an error if not both classes remain."""
    trials = trials[~trials["utterance_id"].isin(set(left_out))].reset_index(drop=True)
    if trials["label"].nunique() < 2:
        why = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:3])
        raise ProbeError(f"{run.folder}: of the clips drawn, not both classes can be used ({why})")
    return trials


def _attacked(
    white_box: WhiteBox,
    slopes: Slopes,
    clips: Clips,
    bonafide: NDArray[np.bool_],
    attack: Attack,
    seed: int,
    machine: Machine,
    advance: Any,
) -> Clips:
    """Clips under an attack, by batches of near length."""
    backbone = white_box.backbone
    is_bonafide = dict(zip(clips, map(bool, bonafide), strict=True))
    ascending = sorted(clips, key=lambda name: len(clips[name]))
    heard = [white_box.n_heard(len(clips[name])) for name in ascending]
    found: Clips = {}
    for run in batches(heard, machine.batch_size_on(backbone), backbone.padding):
        batch = {name: clips[name] for name in ascending[run]}

        def counted(waveforms: Any) -> Any:
            advance(len(waveforms), f"{white_box.head.name}, {attack.name}")
            return slopes(waveforms)

        found |= perturb(batch, is_bonafide, attack=attack, slopes=counted, seed=seed)
    return {name: found[name] for name in clips}
