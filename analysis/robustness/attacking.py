"""Attacks on the probes and heads of a run, judged by them and by others.

Those attacked judge as in a white box, others as in a black box. Every figure of attacked clips is
paired with that of the same clips as they were, at the threshold of the clean dev set as well.
Judges score as `probe score` does, with smoothing too if that is given.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.robustness.attack_source import (
    Clips,
    check_classes,
    drawn_trials,
    loaded_clips,
)
from analysis.robustness.attack_table import AttackTable
from analysis.robustness.figures import CLEAN
from analysis.runs.loaded_run import LoadedRun
from analysis.runs.loading import Runs
from probing.augmentation.smoothing import Smoothing
from probing.extraction import Machine
from probing.extraction.states import batches
from probing.labels import BONAFIDE
from probing.progress import progress_line
from probing.robustness.attacked import heads_of_runs
from probing.robustness.attacks import (
    Attack,
    AttackOptions,
    Slopes,
    over_copies,
    perturb,
    snr_db,
)
from probing.robustness.judge import Judge
from probing.robustness.white_box import WhiteBox
from probing.serving.candidates import Candidate
from probing.serving.heads import choose_head


@dataclass(frozen=True)
class Attacks:
    """Figures of attacked clips, in per cent and points of EER.

    run: that was attacked.
    names: of it and of the other judges, in their order.
    table: a row an attack, its source, its judge and a way of scoring, `clean` rows first: source
        and source_head; judge, judge_head; access (`white box`, `other head` of the same backbone,
        `other backbone`); attack (`pgd-8`), method, eps; smooth (copies, 0 for none); then what
        `analysis.robustness.measure` says of a condition: eer, low, high, rise, ..., miss and
        false_alarm at the threshold of the clean dev set, ...; success (share of the clips that
        were decided right and are not any more), loss and loss_rise (cross-entropy of the true
        class by the score, nats), snr_db (of the change, mean over clips).
    trials: the clips, with label, speaker and attack.
    left_out: name -> why, of clips that were drawn and not used.
    smoothing: of the rows with copies.
    adaptive: whether the attacks knew of it.
    cost: how many times as long smoothed scores took; None without smoothing.
    kept: (head, attack) -> name -> samples, of the attacked clips; `clean` too; empty unless kept.
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

    >>> from analysis import load
    >>> from probing.robustness.attacks import AttackOptions
    >>> options = AttackOptions(method=("fgsm",), eps=(8,), layers="1", clips=4)
    >>> attack_run(load("results/demo.run"), options=options).rows()["attack"].to_list()
    ['fgsm-8']
    """
    options = options or AttackOptions()
    machine = machine or Machine()
    smoothing = smoothing or Smoothing()
    runs = [run, *against]
    heads = heads_of_runs(runs, options, smoothing)
    trials = drawn_trials(runs, options.clips, options.seed)
    judges = [
        Judge(run, [choose_head(run, name=about.name).head for about in known], machine)
        for run, known in zip(runs, heads, strict=True)
    ]
    clips, left_out = loaded_clips(
        run, trials, judges=judges, options=options, audio_root=audio_root
    )
    check_classes(run, trials, left_out)
    ways = [Smoothing(), smoothing] if smoothing else [Smoothing()]
    clean, seconds = _clean_scores(judges, clips, ways=ways, left_out=left_out)
    trials = check_classes(run, trials, left_out)
    clips = {name: clips[name] for name in trials["utterance_id"]}
    bonafide = trials["label"].eq(BONAFIDE).to_numpy()
    names = tuple(Runs(runs).names)
    table = AttackTable(runs, names, heads=heads, trials=trials, bonafide=bonafide)
    for way in ways:
        table.add_clean(way, clean[way.smooth])
    kept: dict[tuple[str, str], Clips] = {("", CLEAN): clips} if keep else {}
    work = _Work(
        judges[0],
        heads[0],
        clips=clips,
        bonafide=bonafide,
        options=options,
        smoothing=smoothing,
        machine=machine,
    )
    for about, attack, attacked in work.attacks():
        if keep:
            kept[(about.name, attack.name)] = attacked
        ratio = float(np.mean([snr_db(clips[name], attacked[name]) for name in clips]))
        for way in ways:
            scores = [judge.scores(attacked, way) for judge in judges]
            table.add(about, attack, way=way, scores=scores, ratio=ratio)
    return Attacks(
        run,
        names,
        table=table.frame(),
        trials=trials,
        left_out=left_out,
        smoothing=smoothing,
        adaptive=options.adaptive,
        cost=seconds[1] / seconds[0] if smoothing else None,
        kept=kept,
    )


def _clean_scores(
    judges: Sequence[Judge], clips: Clips, ways: Sequence[Smoothing], left_out: dict[str, str]
) -> tuple[dict[int, list[Any]], list[float]]:
    """The scores of clips as they are, by copies and judge, and the seconds of each way of scoring.

    Clips that a judge cannot use are added to `left_out`.
    """
    for judge in judges:  # neither way of scoring is to wait for a model that is loaded
        judge.scores(dict(list(clips.items())[:1]), Smoothing(), {})
    clean: dict[int, list[Any]] = {}
    seconds = []
    for way in ways:
        start = time.perf_counter()
        clean[way.smooth] = [judge.scores(clips, way, left_out) for judge in judges]
        seconds.append(time.perf_counter() - start)
    return clean, seconds


@dataclass(frozen=True)
class _Work:
    """Every attack on every head of a judge.

    bonafide: of each clip, in their order.
    smoothing: what adaptive attacks know of.
    """

    judge: Judge
    heads: Sequence[Candidate]
    clips: Clips
    bonafide: NDArray[np.bool_]
    options: AttackOptions
    smoothing: Smoothing
    machine: Machine

    def attacks(self) -> Iterator[tuple[Candidate, Attack, Clips]]:
        """Each head with each attack on it, and the clips under that attack."""
        attacks = self.options.attacks
        n_steps = sum(attack.steps if attack.method == "pgd" else 1 for attack in attacks)
        total = len(self.heads) * n_steps * len(self.clips)
        with progress_line("Attacking", total, "slopes") as line:
            for number, about in enumerate(self.heads):
                white_box = self.judge.white_box(number)
                slopes: Slopes = white_box.slopes
                if self.options.adaptive:
                    seed = self.smoothing.seed + 1
                    slopes = over_copies(slopes, replace(self.smoothing, seed=seed))
                for attack in attacks:
                    yield (
                        about,
                        attack,
                        self._attacked(white_box, slopes, attack=attack, advance=line.advance),
                    )

    def _attacked(self, white_box: WhiteBox, slopes: Slopes, attack: Attack, advance: Any) -> Clips:
        """Clips under an attack, by batches of near length."""
        backbone = white_box.backbone
        is_bonafide = dict(zip(self.clips, map(bool, self.bonafide), strict=True))
        ascending = sorted(self.clips, key=lambda name: len(self.clips[name]))
        lengths = [white_box.n_seen(len(self.clips[name])) for name in ascending]
        most = self.machine.batch_size_on(backbone)

        def counted(waveforms: Any) -> Any:
            advance(len(waveforms), f"{white_box.head.name}, {attack.name}")
            return slopes(waveforms)

        found: Clips = {}
        for run in batches(lengths, most, backbone.padding):
            batch = {name: self.clips[name] for name in ascending[run]}
            seed = self.options.seed
            found |= perturb(batch, is_bonafide, attack=attack, slopes=counted, seed=seed)
        return {name: found[name] for name in self.clips}
