"""The form of a run record, checked when a run is opened, so that all else may trust it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from probing.targets.metrics import BINARY, CLASSES, METRICS, NUMBER

RECORD = "run.json"
RESULTS = "results.parquet"
UTTERANCES = "utterances.parquet"
TRAINING = "training.csv"
FINDINGS = (
    "finding",
    "mlp_finding",
    "control_task",
    "erasure",
    "elsewhere",
    "unseen_attacks",
    "depth_finding",
)
TEXT = "a text"
TEXTS = "texts"
WHOLE = "a whole number"
WHOLES = "whole numbers"
NUMBERS = "numbers"
RATE = "a number from 0 to 1"
RATE_OR_NONE = "a number from 0 to 1, or NaN"
WHOLE_OR_NONE = "a whole number, or null"
OBJECT = "an object"
NUMBER_OR_POINTS = "a number, or points as 2pt"
NUMBER_OR_NONE = "a number, or NaN"
COUNTS_BY_CLASS = "whole numbers by name"
INTERVAL = {"value": RATE, "low": RATE, "high": RATE}
ANY_INTERVAL = {"value": NUMBER_OR_NONE, "low": NUMBER_OR_NONE, "high": NUMBER_OR_NONE}
COUNTS = {"bonafide": WHOLE, "spoof": WHOLE}
OPTIONS = {
    "train": TEXT,
    "dev": TEXT,
    "eval": TEXTS,
    "seed": WHOLE,
    "interval_by": TEXT,
    "strengths": NUMBERS,
    "control_seeds": WHOLES,
    "depths": {"heads": TEXTS, "seeds": WHOLES},
}
FINDING = {
    "layer": WHOLE,
    "last": WHOLE,
    "best": INTERVAL,
    "trivial": INTERVAL,
    "difference": ANY_INTERVAL,
    "shuffled": RATE_OR_NONE,
    "sentence": TEXT,
}
FORM: dict[str, Any] = {
    "options": OPTIONS,
    "cache": TEXT,
    "cache_folder": TEXT,
    "utterances": {"train": WHOLE, "dev": WHOLE, "eval": WHOLE},
    "about": {"backbone": TEXT},
    "fingerprint": OBJECT,
    "corpora": TEXTS,
    "caches": {"train": OBJECT, "dev": OBJECT, "eval": OBJECT},
    "intervals": TEXT,
    "counts": {"train": COUNTS, "dev": COUNTS, "eval": COUNTS},
    "finding": FINDING,
}
OF_TARGET: dict[str, Any] = {  # where the target is another than bona fide against spoof
    "target": {"name": TEXT, "task": TEXT, "metric": TEXT, "classes": TEXTS, "prior": NUMBERS},
    "counts": dict.fromkeys(("train", "dev", "eval"), COUNTS_BY_CLASS),
    "finding": {
        **FINDING,
        "best": ANY_INTERVAL,
        "trivial": ANY_INTERVAL,
        "shuffled": NUMBER_OR_NONE,
    },
}
DEPTH_FINDING = {
    "head": TEXT,
    "depth": WHOLE_OR_NONE,
    "full": WHOLE,
    "margin": NUMBER_OR_POINTS,
    "sentence": TEXT,
}
MOST_LAYERS = 10_000


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and abs(value) < math.inf  # of whole numbers too large for a float too


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(of, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_rate(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


# what a leaf has to be -> whether it is
_LEAVES: dict[str, Callable[[Any], bool]] = {
    TEXT: _is_text,
    TEXTS: lambda value: _is_list(value, _is_text),
    WHOLE: _is_whole,
    WHOLE_OR_NONE: lambda value: value is None or _is_whole(value),
    WHOLES: lambda value: _is_list(value, _is_whole),
    NUMBERS: lambda value: _is_list(value, _is_finite),
    RATE: _is_rate,
    RATE_OR_NONE: lambda value: _is_rate(value) or (isinstance(value, float) and math.isnan(value)),
    NUMBER_OR_NONE: _is_number,
    OBJECT: lambda value: isinstance(value, dict),
    NUMBER_OR_POINTS: lambda value: (
        _is_number(value) or re.fullmatch(r"[\d.]+pt", str(value)) is not None
    ),
    COUNTS_BY_CLASS: lambda value: (
        isinstance(value, dict) and all(_is_whole(n) and n >= 0 for n in value.values())
    ),
}


def check_record(record: Any) -> None:
    """Raise ValueError, naming the key, if a record is not one that a sweep writes."""
    has_target = isinstance(record, dict) and record.get("target") is not None
    _check(record, {**FORM, **OF_TARGET} if has_target else FORM, "")
    if has_target:
        _check_target(record["target"])
    if "intervals_by_part" in record:
        _check(record, {"intervals_by_part": OBJECT}, "")
    if not record["corpora"]:
        raise ValueError(f"{RECORD}: 'corpora' names none")
    further = [f"eval.{corpus}" for corpus in record["corpora"][1:]]
    _check(
        record["counts"],
        dict.fromkeys(further, COUNTS_BY_CLASS if has_target else COUNTS),
        "counts",
    )
    _check(record["utterances"], dict.fromkeys(further, WHOLE), "utterances")
    for part, cache in record["caches"].items():
        _check(cache, {"folder": TEXT, "id": TEXT, "corpus": TEXT}, f"caches.{part}")
    evaluated = [part for part in record["caches"] if part not in ("train", "dev")]
    if not len(evaluated) == len(record["options"]["eval"]) == len(record["corpora"]):
        raise ValueError(
            f"{RECORD}: 'corpora' names {len(record['corpora'])}, 'caches' {len(evaluated)} and "
            f"'options.eval' {len(record['options']['eval'])}; expected as many of each"
        )
    finding = record["finding"]
    depth = record.get("depth_finding")
    if not 0 <= finding["layer"] <= finding["last"] <= MOST_LAYERS:
        raise ValueError(
            f"{RECORD}: 'finding.layer' is {finding['layer']}, 'finding.last' {finding['last']}"
        )
    for name in ("elsewhere", "unseen_attacks", "mlp_finding", "control_task", "erasure"):
        if record.get(name) is not None:
            _check(record[name], {"sentence": TEXT}, name)
    if depth is not None:
        _check(depth, DEPTH_FINDING, "depth_finding")
        if not 1 <= (depth["depth"] or 1) <= MOST_LAYERS:
            raise ValueError(
                f"{RECORD}: 'depth_finding.depth' is {depth['depth']}, expected a layer"
            )
        if depth["head"] not in record["options"]["depths"]["heads"]:
            raise ValueError(
                f"{RECORD}: 'depth_finding.head' {depth['head']!r} "
                "is not among 'options.depths.heads'"
            )
        if depth["depth"] is not None:
            _check(depth, {"excess": ANY_INTERVAL, "bound": NUMBER_OR_NONE}, "depth_finding")
        if depth.get("best") is not None:  # not in runs of an earlier version
            _check(depth["best"], {"head": TEXT, "depth": WHOLE}, "depth_finding.best")
    if "options" in record["about"]:
        _check(record["about"], {"options": OBJECT, "corpus_spec": TEXT}, "about")
    for corpus, conditions in _object(record.get("conditions"), "conditions").items():
        for condition, counts in _object(conditions, f"conditions.{corpus}").items():
            _check(counts, COUNTS, f"conditions.{corpus}.{condition}")


def _check_target(target: Mapping[str, Any]) -> None:
    """Raise ValueError where a target is not one that a sweep has."""
    metric = METRICS.get(target["metric"])
    if metric is None or metric.task != target["task"]:
        raise ValueError(
            f"{RECORD}: 'target.metric' is {target['metric']!r}, "
            f"which is none of a {target['task']} target"
        )
    n = len(target["classes"])
    expected = {BINARY: n == 2, NUMBER: n == 0, CLASSES: 2 <= n == len(target["prior"])}
    if (
        not expected[metric.task]
        or len(set(target["classes"])) != n
        or any(share <= 0 for share in target["prior"])
    ):
        raise ValueError(
            f"{RECORD}: 'target.classes' are {n} with "
            f"{len(target['prior'])} shares in 'target.prior'"
        )


def _check(value: Any, form: Any, key: str) -> None:
    """Compare a value with a form: what a leaf has to be, or which keys an object needs."""
    if isinstance(form, str):
        if not _LEAVES[form](value):
            raise ValueError(f"{RECORD}: {key!r} is {str(value)[:60]!r}, expected {form}")
        return
    found = _object(value, key)
    for name, wanted in form.items():
        inner = f"{key}.{name}" if key else name
        if name not in found:
            raise ValueError(f"{RECORD}: no key {inner!r}")
        _check(found[name], wanted, inner)


def _object(value: Any, key: str) -> dict[str, Any]:
    if value is None and key == "conditions":  # of an earlier version
        return {}
    if not isinstance(value, dict):
        raise ValueError(
            f"{RECORD}: {key or 'all of it'!r} is {str(value)[:60]!r}, expected {OBJECT}"
        )
    return value
