"""The commands that make a run again, with every option written out, so that changed defaults do not matter."""

from __future__ import annotations

import glob
import shlex
from pathlib import PurePath
from typing import Any

from cache.manifest import read_json
from probing.heads.kinds import BACKENDS, MERGES, split_head
from probing.runs import Run

NO_FLAG = {"weight_decays"}  # of the library only


def commands(run: Run) -> str:
    """`probe extract` and `probe sweep` as they have to be typed; folders by their names alone, whoever reads this."""
    about, options = run.record["about"], dict(run.record["options"])
    cache = PurePath(run.record["cache_folder"]).name
    heads = options.pop("depths", {})
    names: dict[str, Any] = {"control_seeds": len(options["control_seeds"]), "seeds": len(heads.get("seeds", ()))}
    parts = {part: f"{PurePath(one['folder']).name}:" for part, one in run.record["caches"].items()}
    where = {part: "" if folder == f"{cache}:" else folder for part, folder in parts.items()}
    evaluations = [where[part] for part in where if part not in ("train", "dev")]
    names |= {part: f"{where[part]}{options[part]}" for part in ("train", "dev")}
    names["eval"] = [f"{folder}{split}" for folder, split in zip(evaluations, options["eval"], strict=True)]
    chosen = {**options, **heads, **names, "heads": heads.get("heads") or "none"}
    lines = []
    if "options" in about:
        spec = _portable(about["corpus_spec"])
        lines.append(_command(f"probe extract {shlex.quote(cache)}", {"corpus": spec, **about["options"]}))
    own = "".join(f" --import {module}" for module in _own_modules(run))
    lines.append(_command(f"probe{own} sweep {shlex.quote(cache)} --out {shlex.quote(run.folder.name)}", chosen))
    return "\n".join(lines)


def _own_modules(run: Run) -> list[str]:
    """Modules of the merges and back-ends that are not of this package, as the heads of a run name them."""
    found = set()
    for head in run.record["options"].get("depths", {}).get("heads", ()):
        merge, backend = split_head(head)
        if merge not in MERGES.built_in or backend not in BACKENDS.built_in:
            stored = sorted((run.folder / "heads").glob(f"{glob.escape(head)}-depth-*.json"))
            own = read_json(stored[0]).get("own", {}) if stored else {}
            found |= {str(path).partition(":")[0] for path in own.values()}
    return sorted(found)


def _command(start: str, options: dict[str, Any]) -> str:
    words = [start]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if name in NO_FLAG or value is None or value is False or value in ((), [], ""):
            continue
        if value is True:
            words.append(flag)
            continue
        if name in ("backbone", "drop"):
            value = _portable(str(value))
        if name == "eval":
            words += [f"{flag} {shlex.quote(one)}" for one in value]
            continue
        text = ",".join(map(_number, value)) if isinstance(value, (list, tuple)) else _number(value)
        words.append(f"{flag} {shlex.quote(text)}")
    return " \\\n  ".join(words)


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _portable(spec: str) -> str:
    """A corpus or model spec without the folders of the machine it was made on: the last part of an absolute path."""
    kind, colon, rest = spec.rpartition(":")
    path = PurePath(rest)
    return f"{kind}{colon}{path.name}" if path.is_absolute() else spec
