"""Where a tuning begins, as a person says it: a run, a tuned model, or a backbone with a corpus."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.errors import OptionError, ProbeError, argument
from probing.backbones.checkpoint import stated_blocks
from probing.extraction.options import Options
from probing.heads.kinds import BackendKind, check_head, import_heads
from probing.registry import RegistryError
from probing.targets.metrics import CLASSES
from probing.targets.options import TargetOptions
from probing.tuning.recipes import TuningRecipe

if TYPE_CHECKING:
    from probing.runs import Run
    from probing.serving.candidates import Candidate
    from probing.targets.task import Task
    from probing.tuning.start import Start  # at run time it costs torch

OF_BACKBONE = ("backbone", "revision", "normalize", "max_seconds", "seconds")
OF_TARGET = ("target", "labels", "positive", "task", "metric", "min_count")


@dataclass(frozen=True)
class Source:
    """What a tuning starts from.

    run: a run, whose head `head` at `depth` is tuned; by default that of its finding.
    continued: a tuned or exported model to go on from, on the utterances of `run`, or else those it
        was tuned on.
    corpus: without these, a corpus with splits train and dev; then `head` is a new one,
        MERGE+BACKEND, on the first `depth` blocks of the backbone of `options`, and `target` is
        what it reads.
    audio_root: folder that paths of audio start from, if not where it was.

    >>> Source(corpus="demo", head="mean+linear", depth=2).options.backbone
    'embedded'
    """

    run: Path | None = None
    head: str | None = None
    depth: int | None = None
    continued: Path | None = None
    corpus: str | None = None
    options: Options = field(default_factory=Options)
    target: TargetOptions = field(default_factory=TargetOptions)
    audio_root: Path | None = None

    def __post_init__(self) -> None:
        if self.run is None and self.continued is None:
            if self.corpus is None or self.head is None:
                new = (
                    f"{argument('backbone')}, {argument('corpus')} and "
                    f"{argument('head', 'MERGE+BACKEND')}"
                )
                raise ProbeError(
                    f"nothing to start from. Expected a run; or {new}; or "
                    f"{argument('continue', 'DIR')}"
                )
            return
        of_nothing = {"corpus": self.corpus, **_changed(self.options), **_changed(self.target)}
        for name, value in of_nothing.items():
            if value is not None:
                raise OptionError(
                    name,
                    value,
                    "is for a tuning from nothing, and the run says it here. Leave it out",
                )
        if self.continued is not None:
            for name in ("head", "depth"):
                if (value := getattr(self, name)) is not None:
                    raise OptionError(
                        name, value, "is that of the model which is continued. Leave it out"
                    )

    def check(self, passed_over: Collection[str] = ()) -> None:
        """Refuse a head, a depth or a backbone that there is not, before PyTorch is loaded.

        `passed_over` are options that may do nothing, see `Options.check_used`.

        Raises:
            ProbeError: as `start`, for what the records of the run or the config of the backbone
                say.

        >>> Source(Path("results/demo.run"), depth=2).check()
        """
        from probing.runs import Run

        if self.continued is not None:
            return
        if self.run is not None:
            tuned_head(Run(self.run), self.head, self.depth)
            return
        assert self.head is not None
        import_heads([self.head])
        new_head(self.head)
        self.options.check_used(passed_over)
        self.options.check_backbone()
        if (n_blocks := stated_blocks(self.options.backbone)) is not None:
            check_depth(self.depth, n_blocks, self.options.backbone)

    def start(self, device: str, recipe: TuningRecipe, say: Callable[[str], None]) -> Start:
        """Load it.

        Raises:
            ProbeError: it is not there, or of no use.
        """
        from probing.runs import Run
        from probing.tuning import start

        if self.continued is not None:
            return start.from_exported(
                self.continued, self.run, device=device, audio_root=self.audio_root, say=say
            )
        if self.run is not None:
            return start.from_run(
                Run(self.run),
                self.head,
                depth=self.depth,
                device=device,
                audio_root=self.audio_root,
            )
        assert self.corpus is not None
        assert self.head is not None
        return start.from_nothing(
            self.options,
            self.corpus,
            target=self.target,
            head=self.head,
            depth=self.depth,
            recipe=recipe,
            device=device,
            audio_root=self.audio_root,
            say=say,
        )

    def identity(self) -> dict[str, Any]:
        """What tells one source from another, in plain values."""
        from probing.runs import Run
        from probing.serving.exported import open_exported

        found: dict[str, Any] = {"head": self.head, "depth": self.depth}
        if self.run is not None:
            record = Run(self.run).record
            found |= {
                "run": str(self.run.resolve()),
                "cache": record.cache,
                "utterances": record.utterances,
            }
        if self.continued is not None:
            exported = open_exported(self.continued)
            found |= {
                "continued": exported.record["weights_sha256"],
                "head_of": exported.record["head"],
            }
        if self.corpus is not None:
            found |= {
                "corpus": self.corpus,
                "backbone": asdict(self.options),
                "target": asdict(self.target),
            }
        return found


def tuned_head(run: Run, head: str | None, depth: int | None) -> Candidate:
    """The head of a run that is tuned, by default that of its finding; it is not loaded.

    Raises:
        ProbeError: the run has no such head, or it is none that can be tuned.

    >>> from probing.runs import Run
    >>> tuned_head(Run("results/demo.run"), "weighted-sum+linear", 2).name
    'weighted-sum+linear-depth-02'
    """
    from probing.serving.candidates import LINEAR, candidate

    found = candidate(run, depth, head, any_target=True, least=1)
    if found.depth < 1:
        raise OptionError(
            "head", found.name, "needs no block, so that there is nothing to tune. Name another"
        )
    if found.name.startswith(LINEAR):
        check_linear(found.name, run.task)
    return found


def check_linear(name: str, task: Task) -> None:
    """Refuse the linear probe of a task of many classes."""
    if task.name == CLASSES:
        raise OptionError(
            "head", name, "is a linear probe of many classes, which is not tuned. Name a head"
        )


def new_head(head: str) -> BackendKind | None:
    """The kind of the back-end of a new head, see `probing.heads.kinds.check_head`.

    Raises:
        OptionError: no such head.

    >>> new_head("mean+linear").needs_frames
    False
    """
    try:
        return check_head(head)
    except RegistryError as error:
        raise OptionError("head", head, str(error)) from None


def check_depth(depth: int | None, n_blocks: int, backbone: str) -> None:
    """Refuse more blocks than a backbone has; None is all of them."""
    if depth is not None and depth > n_blocks:
        raise OptionError("depth", depth, f"{backbone} has {n_blocks} blocks. Expected no more")


def _changed(options: Any) -> dict[str, Any]:
    """The fields of a dataclass that are not as they are by default."""
    usual = asdict(type(options)())
    return {name: value for name, value in asdict(options).items() if value != usual[name]}
