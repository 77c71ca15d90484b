"""The form of a run: what its record and tables hold, checked when it is opened, so that all else
may trust it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from probing.targets.metrics import BINARY, CLASSES, METRICS, NUMBER

if TYPE_CHECKING:
    import pandas as pd

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
TEXT_COLUMNS = ("experiment", "head", "split", "corpus", "condition", "metric")
WHOLE_COLUMNS = ("layer", "depth", "seed")
NUMBER_COLUMNS = ("value", "low", "high", "strength")
MOST_LAYERS = 10_000
LARGEST = 1e100  # a figure beyond it cannot be drawn


def check_record(record: Any) -> None:
    """Raise ValueError, naming the key, where a record is not one that a sweep writes."""
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


def check_results(results: pd.DataFrame, record: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the column, where the figures are not those that a sweep of this
    record writes.
    """
    import numpy as np

    lacking = [
        name for name in (*TEXT_COLUMNS, *WHOLE_COLUMNS, *NUMBER_COLUMNS) if name not in results
    ]
    if lacking:
        raise ValueError(f"{RESULTS}: no column {lacking[0]!r}")
    for name in TEXT_COLUMNS:
        if not all(isinstance(text, str) for text in results[name].unique()):
            raise ValueError(f"{RESULTS}: column {name!r} holds something else than text")
    for name in (*WHOLE_COLUMNS, *NUMBER_COLUMNS):
        try:
            numbers = results[name].astype("float64").to_numpy(na_value=np.nan)
        except (TypeError, ValueError):
            raise ValueError(
                f"{RESULTS}: column {name!r} holds something else than numbers"
            ) from None
        known = numbers[~np.isnan(numbers)]
        if name in WHOLE_COLUMNS:
            wrong = (
                (known < 0)
                | (known != np.floor(known))
                | (known > (2**53 if name == "seed" else MOST_LAYERS))
            )
        else:
            wrong = np.abs(known) > LARGEST
        if wrong.any():
            raise ValueError(f"{RESULTS}: column {name!r} holds {known[wrong][0]:g}")
    _check_layers(results, record)
    _check_depths(results, record)
    contributions, costs = (
        results[results["experiment"] == name] for name in ("contribution", "cost")
    )
    for rows, column in ((contributions, "layer"), (costs, "depth")):
        if rows[column].isna().any() or rows["value"].isna().any():
            raise ValueError(
                f"{RESULTS}: rows of experiment "
                f"{rows['experiment'].iloc[0]!r} lack a {column} or value"
            )
    if costs.duplicated(["depth", "metric"]).any():
        raise ValueError(f"{RESULTS}: rows of experiment 'cost' are there twice")


def _check_layers(results: pd.DataFrame, record: Mapping[str, Any]) -> None:
    """Every part has one figure for each layer, and one of trivial features."""
    finding = record["finding"]
    eers = results[results["metric"] == _metric_of(record)]
    if METRICS[_metric_of(record)].share:
        _check_rates(
            eers[eers["experiment"].isin(["layer", "trivial-features", "mlp"])],
            ["value", "low", "high"],
        )
        controls = [
            "by-condition",
            "unseen-attack",
            "shuffled-labels",
            "mlp-shuffled-labels",
            "control-task",
            "erased",
            "erased-random",
        ]
        _check_rates(eers[eers["experiment"].isin(controls)], ["value"])
    parts = [("dev", None), *(("eval", corpus) for corpus in record["corpora"])]
    expected: list[int] | None = None
    for split, corpus in parts:
        of_part = eers[
            (eers["split"] == split) & (True if corpus is None else eers["corpus"] == corpus)
        ]
        where = split if corpus is None else f"{split} of {corpus}"
        layers = of_part.loc[of_part["experiment"] == "layer", "layer"]
        found = sorted(int(layer) for layer in layers.dropna())
        expected = found if expected is None else expected
        if found != expected or len(set(found)) < max(len(layers), 1):
            raise ValueError(f"{RESULTS}: column 'layer' does not have each layer once for {where}")
        if not {finding["layer"], finding["last"]} <= set(found) or found[-1] != finding["last"]:
            raise ValueError(
                f"{RESULTS}: layers {found[0]}..{found[-1]} of {where} are not those of the finding"
            )
        if (of_part["experiment"] == "trivial-features").sum() != 1:
            raise ValueError(
                f"{RESULTS}: column 'experiment' does not have 'trivial-features' once for {where}"
            )
        conditions = of_part[of_part["experiment"] == "by-condition"]
        known = (record.get("conditions") or {}).get(corpus or record["corpora"][0], {})
        unknown = set(conditions["condition"]) - set(known)
        if unknown:
            raise ValueError(f"{RECORD}: 'conditions' does not count {min(unknown)!r} of {where}")
        if conditions.duplicated(["condition", "layer"]).any() or conditions["layer"].isna().any():
            raise ValueError(f"{RESULTS}: column 'condition' has a condition twice for {where}")
    unseen = eers[eers["experiment"] == "unseen-attack"]
    if (
        unseen.duplicated(["split", "corpus", "condition", "layer"]).any()
        or unseen["layer"].isna().any()
    ):
        raise ValueError(f"{RESULTS}: column 'condition' has an attack left out twice")


def _check_depths(results: pd.DataFrame, record: Mapping[str, Any]) -> None:
    """The heads of the record have their mean over seeds once at each depth of each part."""
    rows = results[(results["experiment"] == "depth") & (results["metric"] == _metric_of(record))]
    if not record.get("depth_finding") and rows.empty:
        return
    heads = record["options"]["depths"]["heads"]
    full = record["finding"]["last"]
    if not record.get("depth_finding"):
        raise ValueError(f"{RECORD}: no key 'depth_finding', and {RESULTS} has heads by depth")
    if rows["depth"].isna().any():
        raise ValueError(f"{RESULTS}: column 'depth' lacks numbers")
    means = rows[rows["seed"].isna()]
    if METRICS[_metric_of(record)].share:
        _check_rates(means, ["value", "low", "high"])
        _check_rates(rows, ["value"])
    parts = [("dev", None), *(("eval", corpus) for corpus in record["corpora"])]
    for split, corpus in parts:
        of_part = means[
            (means["split"] == split) & (True if corpus is None else means["corpus"] == corpus)
        ]
        at_full = of_part.loc[of_part["depth"] == full, "head"]
        if sorted(at_full) != sorted(set(heads)) or of_part.duplicated(["head", "depth"]).any():
            raise ValueError(
                f"{RESULTS}: column 'head' does not have each of "
                f"{', '.join(heads)} once for {split}"
            )


def _metric_of(record: Mapping[str, Any]) -> str:
    """Name of the metric of the findings."""
    return str(record["target"]["metric"]) if record.get("target") else "eer"


def _check_rates(rows: pd.DataFrame, columns: Sequence[str]) -> None:
    import numpy as np

    for name in columns:
        values = rows[name].astype("float64").to_numpy(na_value=np.nan)
        wrong = ~((values >= 0) & (values <= 1))
        if wrong.any():
            experiment = rows["experiment"].to_numpy()[wrong][0]
            raise ValueError(
                f"{RESULTS}: column {name!r} holds "
                f"{values[wrong][0]:g} for {experiment}, expected 0 to 1"
            )


def check_utterances(utterances: pd.DataFrame, is_spoofing: bool = True) -> None:
    """Raise ValueError, naming the column, where the table of utterances is not one that a sweep
    writes.
    """
    from pandas.api.types import is_numeric_dtype

    for name in ("part", "utterance_id", "label", "speaker", "attack"):
        if name not in utterances:
            raise ValueError(f"{UTTERANCES}: no column {name!r}")
        if name == "label" and not is_spoofing and is_numeric_dtype(utterances[name]):
            continue  # of frames, what was measured there
        if not all(isinstance(text, str) for text in utterances[name].unique()):
            raise ValueError(f"{UTTERANCES}: column {name!r} holds something else than text")
    for part, rows in utterances.groupby("part"):
        if is_spoofing and set(rows["label"]) != {"bonafide", "spoof"}:
            raise ValueError(
                f"{UTTERANCES}: column 'label' of {part} holds "
                f"{', '.join(sorted(set(rows['label'])))}"
            )
        if rows["utterance_id"].duplicated().any():
            raise ValueError(f"{UTTERANCES}: column 'utterance_id' of {part} has one twice")


def _check(value: Any, form: Any, key: str) -> None:
    """Compare a value with a form: what a leaf has to be, or the keys that an object
    has to have.
    """
    if isinstance(form, str):
        if not _is(value, form):
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


def _is(value: Any, what: str) -> bool:
    def number(one: Any) -> bool:
        return isinstance(one, (int, float)) and not isinstance(one, bool)

    def whole(one: Any) -> bool:
        return isinstance(one, int) and not isinstance(one, bool)

    return {
        TEXT: lambda: isinstance(value, str),
        TEXTS: lambda: isinstance(value, list) and all(isinstance(one, str) for one in value),
        WHOLE: lambda: whole(value),
        WHOLE_OR_NONE: lambda: value is None or whole(value),
        WHOLES: lambda: isinstance(value, list) and all(map(whole, value)),
        NUMBERS: lambda: (
            isinstance(value, list) and all(number(one) and math.isfinite(one) for one in value)
        ),
        RATE: lambda: number(value) and 0 <= value <= 1,
        RATE_OR_NONE: lambda: number(value) and (math.isnan(value) or 0 <= value <= 1),
        NUMBER_OR_NONE: lambda: number(value),
        OBJECT: lambda: isinstance(value, dict),
        NUMBER_OR_POINTS: lambda: (
            number(value) or re.fullmatch(r"[\d.]+pt", str(value)) is not None
        ),
        COUNTS_BY_CLASS: lambda: (
            isinstance(value, dict) and all(whole(n) and n >= 0 for n in value.values())
        ),
    }[what]()
