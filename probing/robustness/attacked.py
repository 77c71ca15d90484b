"""Which probes and heads of a run are attacked, or judge; no head is loaded for it."""

from __future__ import annotations

from collections.abc import Sequence

from cache.errors import OptionError
from probing.augmentation.smoothing import Smoothing
from probing.options import write_whole
from probing.robustness.attacks import WORDS, AttackOptions, check_adaptive
from probing.runs import Run
from probing.serving.candidates import Candidate, candidate, known_heads


def heads_of_runs(
    runs: Sequence[Run], options: AttackOptions, smoothing: Smoothing
) -> list[list[Candidate]]:
    """The probes and heads of each run: those of the first are attacked, and all judge.

    Raises:
        ProbeError: as `attacked_heads`; or a run is there twice, or attacks are adaptive to noised
            copies of which there are none.

    >>> found = heads_of_runs([Run("results/demo.run")], AttackOptions(layers="1"), Smoothing())
    >>> [about.name for about in found[0]]
    ['linear-layer-01']
    """
    check_adaptive(options, smoothing)
    folders = [run.folder.resolve() for run in runs]
    twice = next((run for run in runs if folders.count(run.folder.resolve()) > 1), None)
    if twice is not None:
        raise OptionError("against", twice.folder, "is there twice. Name each run once")
    return [attacked_heads(run, options.layers, options.head) for run in runs]


def attacked_heads(run: Run, layers: str, head: str | None = None) -> list[Candidate]:
    """The probes of some layers of a run, and a head, that are attacked or judge.

    Args:
        run: of bona fide against spoof.
        layers: as `chosen_layers` reads them.
        head: a name or a kind, as of `probing.serving.choose_head`; default only probes.

    Raises:
        ProbeError: the run has no such layer or head, or is of another target.

    >>> run = Run("results/demo.run")
    >>> [head.name for head in attacked_heads(run, "first,last", "weighted-sum+linear")]
    ['linear-layer-01', 'linear-layer-04', 'weighted-sum+linear-depth-04']
    """
    probes = {about.depth: about for about in known_heads(run, heads=False)}
    try:
        chosen = [probes[layer] for layer in chosen_layers(layers, list(probes))]
    except OptionError as error:
        raise OptionError("layers", layers, f"{run.folder}: {error.expected}") from None
    if head is not None:
        about = candidate(run, name=head)
        chosen += [about] if about not in chosen else []
    return chosen


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
