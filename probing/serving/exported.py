"""An exported model: a truncated backbone with its trained head as one folder.

config.json, model.safetensors,             the backbone, see `Backbone.save`
preprocessor_config.json, export.json
head.safetensors, head.json                 the head
reference.safetensors                       what a verdict needs, see `reference`
serving.json                                how audio is prepared, what to expect of it, and size
                                            and checksum of every file
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache.atomic import PARTIAL, replace_folder
from cache.errors import ProbeError
from probing.backbones import Backbone
from probing.extraction import Options
from probing.runs import Run
from probing.sealing import seal
from probing.serving.candidates import ServingError
from probing.serving.heads import AnyHead, head_depth, read_head
from probing.serving.matching import check_matching
from probing.serving.places import HEAD, KEPT, REFERENCE, SERVING, options_of, read_serving
from probing.serving.reference import TENSORS, Reference, read_reference
from probing.tensors import save_arrays


@dataclass(frozen=True)
class Exported:
    """An exported folder, open for scoring.

    Attributes:
        record: serving.json.
        reference: what a verdict needs; None in folders of an earlier version.
    """

    folder: Path
    head: AnyHead
    record: dict[str, Any]
    reference: Reference | None = None

    @property
    def options(self) -> Options:
        """How its audio is prepared."""
        return Options(
            backbone=str(self.folder), frames=self.head.tier == "frames", **self.record["options"]
        )

    def load_backbone(self, device: str = "cpu") -> Backbone:
        """Load the backbone; the weights must be those that were exported."""
        backbone = self.options.load_backbone(device)
        check_weights(backbone, self.record["weights_sha256"], str(self.folder))
        check_matching(
            self.options.fingerprint(backbone),
            self.record["fingerprint"],
            str(self.folder),
            "the run",
        )
        return backbone


def described(backbone: Backbone, head: AnyHead, options: Options, corpus: str) -> dict[str, Any]:
    """What the record of an export says of a backbone, and of how its audio is prepared.

    The backbone has only the blocks that the head needs.
    """
    return {
        "form": "serving",
        "backbone": backbone.name,
        "corpus": corpus,
        "depth": head_depth(head),
        "tier": head.tier,
        "options": {name: getattr(options, name) for name in KEPT},
        "weights_sha256": backbone.fingerprint()["weights_sha256"],
    }


def write_exported(
    folder: Path,
    backbone: Backbone,
    head: AnyHead,
    record: Mapping[str, Any],
    reference: Reference | None = None,
    more: Mapping[str, bytes] | None = None,
) -> Exported:
    """Write a backbone with a head as an exported folder, whole or not at all.

    Args:
        folder: an earlier export there is replaced, see `check_place`.
        backbone: with the blocks that the head needs.
        head: trained.
        record: what serving.json says: `head`, `options`, `weights_sha256`, `fingerprint`, and what
            is known beside.
        reference: what a verdict needs; without it there are scores only.
        more: further files, by name.

    Raises:
        ServingError: the folder cannot be written to.

    >>> from probing.serving import choose_head
    >>> run = Run("results/demo.run")
    >>> head = choose_head(run, name="linear-layer-02").head
    >>> options = run_options(run, head)
    >>> backbone = load_run_backbone(run, options).truncate(2)
    >>> record = described(backbone, head, options, corpus="demo")
    >>> record |= {"head": "linear-layer-02", "fingerprint": run.record.fingerprint}
    >>> write_exported(Path("two"), backbone, head, record).record["depth"]
    2
    """
    whole = {"form": "serving", **record}
    if reference is not None:
        whole[REFERENCE] = reference.record()
    partial = folder.with_name(f"{folder.name}.export{PARTIAL}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        backbone.save(partial)
        save_arrays(partial / "head.safetensors", head.tensors())
        text = json.dumps(head.config(), indent=1, ensure_ascii=False)
        (partial / HEAD).write_text(text + "\n", encoding="utf-8")
        if reference is not None:
            save_arrays(partial / TENSORS, reference.tensors())
        for name, content in (more or {}).items():
            (partial / name).write_bytes(content)
        seal(partial, SERVING, whole)
        replace_folder(partial, folder)
    except OSError as error:
        # of the backbone, beside its place
        disk = error.__cause__ if isinstance(error, ProbeError) else error
        if not isinstance(disk, OSError):
            raise
        raise ServingError(
            f"{folder}: cannot be written to "
            f"({disk.strerror or disk}). Make room, or name another folder"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Exported(folder, head, whole, reference)


def open_exported(folder: Path) -> Exported:
    """Open a folder that `export` wrote.

    Raises:
        ServingError: there is none, or it cannot be read; or what its verdicts need.
        Damaged: it is not as it was written.

    >>> open_exported(Path("missing"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    probing.serving.candidates.ServingError: missing: no exported head here ...
    """
    record = read_serving(folder)
    head = read_head(folder / "head.safetensors")
    return Exported(folder, head, record, read_reference(folder, record, head))


def run_options(run: Run, head: AnyHead) -> Options:
    """The options by which the run's cache was extracted, with the tier that the head needs.

    >>> from probing.serving import choose_head
    >>> run = Run("results/demo.run")
    >>> run_options(run, choose_head(run, name="linear-layer-02").head).seconds
    0.5
    """
    return options_of(run, head.tier == "frames")


def load_run_backbone(run: Run, options: Options, device: str = "cpu") -> Backbone:
    """Load the backbone that a run's cache was extracted with, and compare its weights.

    Its normalisation is compared too; ServingError if either is another.

    >>> from probing.serving import choose_head
    >>> run = Run("results/demo.run")
    >>> options = run_options(run, choose_head(run, name="linear-layer-02").head)
    >>> load_run_backbone(run, options).n_layers
    4
    """
    backbone = options.load_backbone(device, fetch=False)
    check_weights(backbone, run.record.fingerprint.get("backbone_weights_sha256"), str(run.folder))
    check_matching(
        options.fingerprint(backbone), run.record.fingerprint, options.backbone, str(run.folder)
    )
    return backbone


def check_weights(backbone: Backbone, expected: Any, where: str) -> None:
    """Refuse a backbone of other weights than expected."""
    found = backbone.fingerprint()["weights_sha256"]
    if found != expected:
        raise ServingError(
            f"{backbone.spec}: its weights are {str(found)[:12]}, those of {where} were "
            f"{str(expected)[:12]}. Put the earlier weights back, or extract and sweep again"
        )
