"""The options that say what is to be read from a layer, and how its utterances are divided."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cache.errors import OptionError, argument
from probing.options import NAMES, check, nearest, option
from probing.targets.metrics import BINARY, CLASSES, METRICS, NUMBER, metrics_of

TASKS = ("auto", BINARY, CLASSES, NUMBER)
LABEL = "label"
AUDIO = "audio:"
UNITS = ("frame", "segment", "middle")
FEWEST_FOLDS = 3  # one to report on, one to choose on, one to train on


@dataclass(frozen=True)
class TargetOptions:
    """What is to be read.

    The default is bona fide against spoof, by the label of the corpus.

    >>> TargetOptions(positive=("F",), task="classes")
    Traceback (most recent call last):
    cache.errors.OptionError: positive=F: names the positive class of two, and task=classes has no such thing
    """  # noqa: E501

    target: str = option(
        LABEL,
        f"What to read from the layers: a column of the corpus or of {argument('labels')}, as "
        "speaker, lang or age; or what is measured in the audio: "
        "audio:f0, voicing, energy, tilt, snr or duration.",
        metavar="COLUMN",
    )
    labels: str = option(
        "",
        "Table with the target: csv, tsv or parquet with utterance_id and the column. One cache "
        f"serves every question. With {argument('unit')}: alignments.",
        metavar="FILE",
        is_path=True,
    )
    unit: str = option(
        "",
        f"Read inside utterances: {argument('labels')} are alignments (TextGrid, CTM, RTTM, "
        ".phn, .wrd, or a table utterance_id,start,end,label; a file or a folder), and a trial "
        "is a frame, a segment (the mean of its frames) or the "
        "middle frame of one. Needs the frames tier.",
        choices=("", *UNITS),
        metavar="[frame|segment|middle]",
    )
    label_tier: str = option("", "Tier of TextGrids, by its name.", metavar="NAME")
    overlaps: str = option(
        "refuse",
        "Intervals of an utterance that overlap, as of two speakers: "
        "refuse, or leave-out the time that they share.",
        choices=("refuse", "leave-out"),
    )
    channel: str = option("", "Channel of CTM or RTTM files that have several.", metavar="NAME")
    silence: str = option(
        "leave-out",
        "Silent marks and unlabelled time: leave-out, or class, a class of its own.",
        choices=("leave-out", "class"),
    )
    control_type: str = option(
        "",
        "Column of the table of alignments with the type of each, as word beside phones: a "
        "control task gives every type a fixed random label (Hewitt & Liang 2019).",
        metavar="COLUMN",
    )
    max_units: int = option(
        50_000,
        "Train and choose on so many units at most, drawn by the seed; all are reported on.",
        minimum=100,
    )
    positive: tuple[str, ...] = option(
        (),
        "Values that make up the positive class: two classes, judged by EER.",
        metavar="VALUES",
        syntax=NAMES,
    )
    task: str = option(
        "auto",
        f"binary (with {argument('positive')}), classes, number, or auto: numbers if every value "
        "is one and there are many.",
        choices=TASKS,
    )
    metric: str = option(
        "",
        f"Of the finding: of classes {', '.join(metrics_of(CLASSES))}; of numbers "
        f"{', '.join(metrics_of(NUMBER))} [default: the first].",
        metavar="NAME",
    )
    min_count: int = option(
        5, "Leave classes with fewer training utterances out, and name them.", minimum=1
    )
    split_by: str = option(
        "",
        "Divide all utterances anew, seeded, no value of this column "
        "in two parts, as speaker or utterance_id.",
        metavar="COLUMN",
    )
    folds: int = option(
        0,
        "Cross-validate in so many folds of "
        f"{argument('split_by')}: every utterance is reported on once.",
        minimum=0,
    )

    def __post_init__(self) -> None:
        check(self)
        self._check_measured()
        self._check_unit()
        self._check_task()
        self._check_folds()
        if self.unit and self.target == LABEL:
            object.__setattr__(self, "target", f"{self.unit} label")
        if self.labels:
            object.__setattr__(self, "labels", str(Path(self.labels).expanduser().absolute()))

    @property
    def is_default(self) -> bool:
        """Whether the target is the label of the corpus, whatever it holds."""
        return self.target == LABEL and not self.labels and not self.positive

    @property
    def _is_measured(self) -> bool:
        return self.target.startswith(AUDIO)

    def _check_measured(self) -> None:
        """Refuse what means nothing where the target is measured in the audio."""
        if not self._is_measured:
            return
        if self.target == AUDIO:
            raise OptionError(
                "target", self.target, f"expected what is measured too, as {AUDIO}energy"
            )
        if self.labels:
            raise OptionError(
                "labels",
                self.labels,
                f"is not read where the target is measured, as {self.target} is",
            )
        if self.unit not in ("", "frame"):
            raise OptionError(
                "unit", self.unit, f"{self.target} is measured of frames or whole utterances"
            )

    def _check_unit(self) -> None:
        """Refuse units without alignments, and options of alignments without units."""
        if self.unit and not self.labels and not self._is_measured:
            raise OptionError(
                "unit", self.unit, f"expected alignments too: {argument('labels', 'FILE')}"
            )
        usual = {"label_tier": "", "overlaps": "refuse", "channel": "", "silence": "leave-out"}
        typed = [name for name, value in usual.items() if getattr(self, name) != value]
        if not self.unit and typed:
            name = typed[0]
            raise OptionError(
                name,
                getattr(self, name),
                f"is of alignments. Expected {argument('unit', 'segment')} too",
            )
        if self.control_type and (not self.unit or self._is_measured or self.folds):
            what = "where the target is measured" if self._is_measured else "of whole utterances"
            what = "in folds" if self.folds else what
            raise OptionError(
                "control_type",
                self.control_type,
                f"is a column of alignments, and there is no control task {what}. Leave it out",
            )

    def _check_task(self) -> None:
        """Refuse a task, its positive class or its metric where the others make another."""
        if self.positive and self.task not in ("auto", BINARY):
            raise OptionError(
                "positive",
                NAMES.write(self.positive),
                "names the positive class of two, and "
                f"{argument('task', self.task)} has no such thing",
            )
        if self.task == BINARY and not self.positive and not self.is_default:
            raise OptionError(
                "task", BINARY, f"expected the positive class too: {argument('positive', 'VALUE')}"
            )
        if self.metric and self.metric not in METRICS:
            raise OptionError(
                "metric",
                self.metric,
                f"expected one of {', '.join(METRICS)}{nearest(self.metric, METRICS)}",
            )

    def _check_folds(self) -> None:
        """Refuse too few folds, and folds of nothing."""
        if self.folds and self.folds < FEWEST_FOLDS:
            raise OptionError(
                "folds",
                self.folds,
                f"expected {FEWEST_FOLDS} or more: to train, choose and report on",
            )
        if self.folds and not self.split_by:
            raise OptionError(
                "folds",
                self.folds,
                f"expected {argument('split_by', 'speaker')} too, or "
                "another column that no two folds may share",
            )
