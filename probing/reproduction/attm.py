"""The table of Pan et al. 2024: trained on ASVspoof 2019 LA, evaluated on that, 2021 LA and DF.

The backbone stays frozen, where the paper tunes it from epoch 10; that is the difference to expect,
and with `tune` a row is added in which it is tuned (see `tuned`). By default heads see mean and
deviation over time (the pooled tier). With `frames` they are the paper's own: attentive merging and
an LSTM on every frame, trained by its recipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from cache import Cache, CacheMissing
from cache.errors import OptionError, argument, as_flag
from probing.corpora import KNOWN, load_corpus, read_corpus
from probing.devices import find_device
from probing.extraction import Machine, extract
from probing.heads.stack import HeadStack, Model
from probing.labels import BONAFIDE
from probing.options import WHOLE, command_line
from probing.progress import console
from probing.reproduction import tuned
from probing.reproduction.options import CORPORA, DEPTHS, SECONDS, Reproduction
from probing.reproduction.sizes import (
    SHARE_REACHED,
    Calibration,
    calibrate,
    head_flops,
    linear_flops,
)
from probing.runs import Run
from probing.sweep import SweepOptions, finished_run, sweep_once


@dataclass(frozen=True)
class Step:
    """One command of a reproduction.

    state: `done`, `ready`, or `needs data`, which are the ROOTs in the command.
    utterances: that it reads.
    n_bytes: that it writes; 0 for a sweep.
    seconds: about; None where nothing is known of the backbone.

    >>> Step("sweep", "ready", "probe sweep la19.cache", 24_986, 0, None).state
    'ready'
    """

    name: str
    state: str
    command: str
    utterances: int
    n_bytes: int
    seconds: float | None


def plan(
    wanted: Reproduction, calibration: Calibration | None = None
) -> tuple[list[Step], Calibration | None]:
    """List the steps with their sizes and times for this machine.

    Downloads nothing and writes nothing.

    Args:
        wanted: what is to be reproduced.
        calibration: default measured now, which takes a few seconds.

    Returns:
        The steps, and the calibration, None where nothing is known of the backbone.

    Raises:
        ProbeError: a corpus that is said to be there is not, or a row of it is at fault.

    >>> from pathlib import Path
    >>> from probing.reproduction.sizes import Calibration
    >>> steps, _ = plan(
    ...     Reproduction(Path("nowhere")), Calibration(24, 1024, 201, 1.0, 1e12, "given")
    ... )
    >>> [step.state for step in steps]
    ['needs data', 'needs data', 'needs data', 'needs data']
    """
    if calibration is None:
        calibration = calibrate(wanted.extraction, str(find_device(wanted.device, double=True)))
    steps = [_extraction(wanted, name, calibration) for name in CORPORA]
    steps.append(_sweep(wanted, steps, calibration))
    if wanted.tune:
        steps.append(_tuning(wanted, steps, calibration))
    return steps, calibration


def run(wanted: Reproduction, *, say: Callable[[str], None] = console.print) -> Run:
    """Run the steps whose data is there.

    What was finished before is kept, what was interrupted goes on.

    Raises:
        ProbeError: the corpus to train on is not there, or as `extract` and `sweep`.

    >>> from pathlib import Path
    >>> wanted = Reproduction(roots={"asvspoof2019-la": Path("/data/2019")})
    >>> run(wanted).sentence  # takes hours  # doctest: +SKIP
    """
    if CORPORA[0] not in wanted.roots and not _finished(wanted, CORPORA[0]):
        raise OptionError(
            "run",
            True,
            f"probes are trained on ASVspoof 2019 LA. Say where it is: "
            f"{argument(CORPORA[0].replace('-', '_'), 'ROOT')} "
            f"(to get: {KNOWN[CORPORA[0]].download})",
        )
    corpora = []
    for name in CORPORA:
        if name in wanted.roots:
            corpus = load_corpus(f"{name}:{wanted.roots[name]}", splits=wanted.splits(name))
            extract(wanted.cache(name), corpus, wanted.extraction, Machine(wanted.device), say=say)
        elif not _finished(wanted, name):
            say(
                f"Left out: {name}, for want of "
                f"{as_flag(name, 'ROOT')}. To get: {KNOWN[name].download}"
            )
            continue
        corpora.append(name)
    trained_on = Cache(wanted.cache(CORPORA[0]))
    options = wanted.sweep_options(trained_on.layers[-1], corpora)
    return sweep_once(
        trained_on, wanted.run_folder, options, device=wanted.device, overwrite=True, say=say
    )


def _extraction(wanted: Reproduction, name: str, calibration: Calibration | None) -> Step:
    root = wanted.roots.get(name)
    folder = wanted.cache(name)
    splits = wanted.splits(name)
    counts = KNOWN[name].published
    if root is not None:
        table = read_corpus(f"{name}:{root}").utterances
        n = int(table["split"].isin(splits).sum())
    else:
        n = sum(
            count
            for (split, label, attack), count in counts.items()
            if split in splits and label and not attack
        )
    state = "done" if _finished(wanted, name) else "ready" if root is not None else "needs data"
    command = command_line(
        "probe",
        "extract",
        folder,
        backbone=wanted.backbone,
        revision=wanted.revision,
        corpus=f"{name}:{root or 'ROOT'}",
        seconds=f"{SECONDS:g}",
        split=splits,
        frames=wanted.frames,
        device=wanted.device if wanted.device != "auto" else None,
    )
    n_bytes = 0
    seconds = None
    if calibration is not None:
        values = {"pooled": 2, "frames": calibration.n_frames}
        a_clip = sum(
            values[tier] * np.dtype(dtype).itemsize
            for tier, dtype in wanted.extraction.tiers.items()
        )
        n_bytes = n * (calibration.n_layers + 1) * calibration.dim * a_clip
        seconds = n * calibration.seconds_a_clip
    return Step(
        f"extract {name}", state, command=command, utterances=n, n_bytes=n_bytes, seconds=seconds
    )


def _sweep(wanted: Reproduction, extractions: list[Step], calibration: Calibration | None) -> Step:
    usable = [
        name
        for name, step in zip(CORPORA, extractions, strict=True)
        if step.state in ("done", "ready")
    ]
    n_layers = calibration.n_layers if calibration else max(DEPTHS)
    options = wanted.sweep_options(n_layers, usable or list(CORPORA))
    depths = options.depths
    device = str(find_device(wanted.device, double=True))
    command = command_line(
        "probe",
        "sweep",
        wanted.cache(CORPORA[0]),
        out=wanted.run_folder,
        eval=options.eval,
        heads=",".join(depths.heads),
        depths=WHOLE.write(depths.depths),
        tier=depths.tier if wanted.frames else None,
        recipe=depths.recipe if wanted.frames else None,
        seeds=wanted.seeds,
        resamples=wanted.resamples,
        device=device if device != "cpu" else None,
    )
    state = "ready" if CORPORA[0] in usable else "needs data"
    if state == "ready" and extractions[0].state == "done" and _has_run(wanted, usable):
        state = "done"
    n = sum(
        step.utterances
        for name, step in zip(CORPORA, extractions, strict=True)
        if name in (usable or CORPORA)
    )
    seconds = _training_seconds(wanted, options, calibration) if calibration else None
    return Step("sweep", state, command=command, utterances=n, n_bytes=0, seconds=seconds)


def _tuning(wanted: Reproduction, steps: list[Step], calibration: Calibration | None) -> Step:
    """Tuning and scoring; both read audio, so that corpora without it are left out."""
    n_layers = calibration.n_layers if calibration else max(DEPTHS)
    depths = wanted.sweep_options(n_layers, list(CORPORA)).depths.chosen(n_layers)
    here = [name for name in CORPORA if name in wanted.roots]
    counts = dict.fromkeys(("train", "dev", "eval"), 0)
    for name in here or CORPORA:
        for (split, label, attack), count in KNOWN[name].published.items():
            if split in wanted.splits(name) and label and not attack:
                counts[split] += count
    state = "ready" if CORPORA[0] in here else "needs data"
    if (
        state == "ready"
        and steps[-1].state == "done"
        and (wanted.tuned_folder / "serving.json").is_file()
    ):
        state = "done"
    seconds = tuned.seconds(wanted, depths, calibration, counts) if calibration else None
    return Step(
        "tune",
        state,
        command=tuned.command(wanted, depths),
        utterances=sum(counts.values()),
        n_bytes=0,
        seconds=seconds,
    )


def _has_run(wanted: Reproduction, corpora: list[str]) -> bool:
    if not all(_finished(wanted, name) for name in corpora):
        return False
    cache = Cache(wanted.cache(CORPORA[0]))
    return (
        finished_run(cache, wanted.run_folder, wanted.sweep_options(cache.layers[-1], corpora))
        is not None
    )


def _training_seconds(
    wanted: Reproduction, options: SweepOptions, calibration: Calibration
) -> float:
    """About the seconds of a sweep's arithmetic; reading the caches comes on top."""
    counts = KNOWN[CORPORA[0]].published
    n_train = sum(counts["train", label, ""] for label in (BONAFIDE, "spoof"))
    if CORPORA[0] in wanted.roots:
        n_train = int(
            (
                read_corpus(f"{CORPORA[0]}:{wanted.roots[CORPORA[0]]}").utterances["split"]
                == "train"
            ).sum()
        )
    problems = (1 + len(options.control_seeds)) * len(options.strengths)
    flops = linear_flops(n_train, 2 * calibration.dim, calibration.n_layers + 1, problems)
    recipe = options.depths.training()
    depths = options.depths
    constants = len(depths.seeds) * len(recipe.learning_rates) * len(recipe.weight_decays)
    dim, steps = (
        (calibration.dim, calibration.n_frames) if wanted.frames else (2 * calibration.dim, 1)
    )
    for head in depths.heads:
        for depth in depths.chosen(calibration.n_layers):
            merge, _, backend = head.partition("+")
            with torch.device("meta"):
                size = HeadStack(
                    [Model(merge, backend, depth)], depth, dim, wanted.frames
                ).n_parameters()
            flops += constants * head_flops(size, n_train, recipe.epochs, steps)
    return flops / (SHARE_REACHED * calibration.flops)


def _finished(wanted: Reproduction, name: str) -> bool:
    """Whether there is a cache of all that is needed of a corpus, made as it is wanted."""
    try:
        cache = Cache(wanted.cache(name))
    except CacheMissing:
        return False
    options = cache.about.get("options", {})
    options_wanted = wanted.extraction
    same = all(
        options.get(key) == getattr(options_wanted, key)
        for key in ("backbone", "revision", "seconds")
    )
    there = set(wanted.splits(name)) <= set(cache.utterances["split"])
    return cache.finished and there and same and set(options_wanted.tiers) <= set(cache.tiers)
