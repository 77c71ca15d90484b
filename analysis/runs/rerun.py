"""The commands that make a run again, with every option written out.

So changed defaults do not matter.
"""

from __future__ import annotations

import glob
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from cache.errors import ProbeError, as_flag
from cache.manifest import Manifest, read_json
from probing.backbones.checkpoint import FEATURES
from probing.backbones.packaged import PACKAGED
from probing.extraction.options import Options
from probing.heads.kinds import BACKENDS, MERGES, split_head
from probing.options import Option, options_of
from probing.runs import Run
from probing.sweep.options import DepthOptions, SweepOptions
from probing.targets.options import TargetOptions

# names that stand for something else unless a folder is typed before
NOT_FOLDERS = {"demo", *PACKAGED, *FEATURES}


def commands(run: Run) -> str:
    """`probe extract` and `probe sweep` as they have to be typed to make a run again.

    Folders are given by their names alone.

    >>> commands(Run("results/random.run")).splitlines()[0].startswith("probe extract random.cache")
    True
    """
    about = run.record["about"]
    options = run.record["options"]
    cache = PurePath(run.record.cache_folder).name
    named = _parts(run, lambda folder: PurePath(folder).name)
    lines = []
    if "options" in about:
        corpus = f"--corpus {shlex.quote(_portable(about['corpus_spec']))}"
        lines.append(
            [f"probe extract {shlex.quote(cache)}", corpus, *_lines(Options, about["options"])]
        )
    own = "".join(f" --import {module}" for module in own_modules(run))
    lines.append(
        [
            f"probe{own} sweep {shlex.quote(cache)} --out {shlex.quote(run.folder.name)}",
            *_lines(SweepOptions, {**options, **named}),
            *_lines(TargetOptions, options.get("target", {})),
            *_lines(DepthOptions, options.get("depths", {})),
        ]
    )
    return "\n".join(" \\\n  ".join(words) for words in lines)


def config(run: Run) -> dict[str, Any]:
    """What `probe sweep --config` takes to make a run again: name -> value.

    Folders are given as they were recorded.

    >>> config(Run("results/demo.run"))["eval"]
    ['eval']
    """
    options = run.record["options"]
    values = {**options, **_parts(run, str)}
    of_sweep = values_of(SweepOptions, values)
    of_target = values_of(TargetOptions, options.get("target", {}))
    return {
        "cache": run.record.cache_folder,
        **of_sweep,
        **of_target,
        **values_of(DepthOptions, options["depths"]),
    }


def config_of_cache(manifest: Manifest) -> dict[str, Any]:
    """What `probe extract --config` takes to make a cache again, but for its folder.

    Raises:
        ProbeError: the cache does not say how it was extracted.

    >>> from pathlib import Path
    >>> from cache.manifest import load_manifest
    >>> config_of_cache(load_manifest(Path("results/demo.cache")))["backbone"]
    'embedded'
    """
    about = manifest.about
    if "options" not in about or "corpus_spec" not in about:
        raise ProbeError(
            "the cache does not say how it was extracted. Expected one that probe extract made"
        )
    return {"corpus": about["corpus_spec"], **values_of(Options, about["options"])}


def _parts(run: Run, place: Callable[[str], str]) -> dict[str, Any]:
    """What plays each part, as typed: a split of the cache, or of another one."""
    options = run.record["options"]
    if options.get("target", {}).get("split_by"):  # which makes the parts
        return dict.fromkeys(("train", "dev", "eval"))
    own = f"{place(run.record.cache_folder)}:"
    folders = {part: f"{place(cache.folder)}:" for part, cache in run.record.caches.items()}
    where = {part: "" if folder == own else folder for part, folder in folders.items()}
    evaluations = [where[part] for part in where if part not in ("train", "dev")]
    named: dict[str, Any] = {part: f"{where[part]}{options[part]}" for part in ("train", "dev")}
    named["eval"] = [
        f"{folder}{split}" for folder, split in zip(evaluations, options["eval"], strict=True)
    ]
    return named


def values_of(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a dataclass that have a value, by the names of their flags.

    Lists of several parts are given as one text.

    >>> values_of(TargetOptions, {"target": "age", "labels": "", "min_count": 5})
    {'target': 'age', 'min_count': 5}
    """
    found: dict[str, Any] = {}
    for name, option in options_of(kind).items():
        value = values.get(name)
        if not option.on_command_line or value is None or value == "":
            continue
        if option.syntax is not None and not option.many:
            value = option.syntax.write(value)
        elif isinstance(value, tuple):
            value = list(value)
        if value != "":
            found[(option.flag or name).lstrip("-").replace("-", "_")] = value
    return found


def own_modules(run: Run) -> list[str]:
    """Modules of the merges and back-ends of a run that are not of this package.

    >>> own_modules(Run("results/demo.run"))
    []
    """
    found = set()
    for head in run.record.options.heads:
        merge, backend = split_head(head)
        if merge not in MERGES.built_in or backend not in BACKENDS.built_in:
            stored = sorted((run.folder / "heads").glob(f"{glob.escape(head)}-depth-*.json"))
            own = read_json(stored[0]).get("own", {}) if stored else {}
            found |= {str(path).partition(":")[0] for path in own.values()}
    return sorted(found)


def flags_of(kind: type, values: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The flags of a dataclass of options, each with its text, in the order of its fields.

    `values` are as records hold them.

    >>> list(flags_of(TargetOptions, {"target": "age", "min_count": 5}))
    [('--target', 'age'), ('--min-count', '5')]
    """
    for name, option in options_of(kind).items():
        value = values.get(name)
        flag = as_flag(option.flag or name)
        if not option.on_command_line or name not in values or value is None or value is False:
            continue
        if value is True:
            yield (flag,)
        elif option.many:
            yield from ((flag, part) for part in ([value] if isinstance(value, str) else value))
        elif (text := _text(option, value)) != "":
            yield flag, text


def _lines(kind: type, values: Mapping[str, Any]) -> Iterator[str]:
    for flag, *text in flags_of(kind, values):
        yield " ".join([flag, *map(shlex.quote, text)])


def _text(option: Option, value: Any) -> str:
    if option.syntax is not None:
        return option.syntax.write(value)
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return _portable(text) if option.is_path else text


def _portable(spec: str) -> str:
    """A spec without the folders of this machine: the last part of an absolute path."""
    kind, colon, rest = spec.rpartition(":")
    path = PurePath(rest)
    if not path.is_absolute():
        return spec
    here = "./" if path.name in NOT_FOLDERS else ""
    return f"{kind}{colon}{here}{path.name}"
