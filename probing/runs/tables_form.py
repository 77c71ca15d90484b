"""The form of the tables of a run, checked when it is opened, so that all else may trust them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from probing.runs.form import MOST_LAYERS, RECORD, RESULTS, UTTERANCES
from probing.targets.metrics import METRICS

if TYPE_CHECKING:
    import pandas as pd

TEXT_COLUMNS = ("experiment", "head", "split", "corpus", "condition", "metric")
WHOLE_COLUMNS = ("layer", "depth", "seed")
NUMBER_COLUMNS = ("value", "low", "high", "strength")
LARGEST = 1e100  # a figure beyond it cannot be drawn


def check_results(results: pd.DataFrame, record: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the column, if figures are not those of a sweep of this record."""
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
    """Raise ValueError, naming the column, if utterances are not as a sweep writes them."""
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
