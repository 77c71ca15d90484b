"""Where a model comes from: the package, a local folder, or the hub; read as a folder of files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cache.errors import argument, as_flag
from cache.manifest import read_json
from probing.sealing import check_files

from .errors import BackboneMissing, BackboneUnsupported, HubUnreachable
from .families import FAMILIES
from .library import first_line, import_transformers, quiet
from .packaged import CALLED, EMBEDDED, PACKAGED, check_packaged

RANDOM = "random:"  # before a model: the same with random weights
FEATURES = ("log-mel", "lfcc")  # see acoustic.py
SETTINGS = ["config.json", "preprocessor_config.json", "processor_config.json"]
SAFE_WEIGHTS = ["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"]
ADAPTER_FILES = ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"]
OLD_WEIGHTS = ["pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"]
WELL_KNOWN = (
    "microsoft/wavlm-base",
    "microsoft/wavlm-base-plus",
    "microsoft/wavlm-large",
    "facebook/hubert-base-ls960",
    "facebook/hubert-large-ll60k",
    "facebook/wav2vec2-base",
    "facebook/wav2vec2-large-960h-lv60-self",
    "facebook/wav2vec2-xls-r-300m",
    "facebook/data2vec-audio-base",
    "facebook/w2v-bert-2.0",
    "microsoft/unispeech-sat-base",
    "openai/whisper-base",
    "openai/whisper-large-v3",
    "UsefulSensors/moonshine-tiny",
)
ADAPTER = "adapter_config.json"  # of PEFT
ALTERNATIVES = (
    "Give a local folder, or leave the model out to use `embedded`, which needs no download"
)


@dataclass(frozen=True)
class Checkpoint:
    """A model's files, read but not loaded.

    `preprocessor` is None if the model has no preprocessor config; `revision` is the commit hash
    on the hub; `adapter` a folder with an adapter of PEFT that has to be merged into the weights.
    """

    name: str
    config: Any
    preprocessor: Mapping[str, Any] | None
    folder: Path
    revision: str | None = None
    adapter: Path | None = None

    @property
    def has_weights(self) -> bool:
        """Say whether there is a file of weights."""
        return has_weights(self.folder)


HUB_ID = re.compile(r"(?!.*(--|\.\.))\w[\w.-]*(/\w[\w.-]*)?(?<![.-])")


def open_checkpoint(
    spec: str, revision: str | None, weights: bool, fetch: bool = True
) -> Checkpoint:
    """Find a model's files and read its config.

    Args:
        spec: `embedded` or `moonshine`, a local folder, or a hub id `owner/name`.
        revision: branch, tag or commit on the hub.
        weights: whether the weights are needed too.
        fetch: whether the hub may be asked; else only what was downloaded before is taken.

    Raises:
        BackboneMissing: no such model, or no config in the folder.
        BackboneUnsupported: a revision of something that has none, or a config that transformers
            does not know.
        HubUnreachable: the hub did not answer and the model was never downloaded.
    """
    check_spec(spec, revision)
    folder = Path(spec).expanduser()
    if spec in PACKAGED:
        return _packaged(spec)
    if is_adapter(folder):
        return _with_adapter(folder, folder.resolve().name)
    if folder.is_dir():
        return _read_folder(folder, folder.resolve().name, None)
    snapshot = _download(spec, revision, weights, fetch)
    commit = snapshot.name if re.fullmatch(r"[0-9a-f]{40}", snapshot.name) else None
    name = spec.rsplit("/", 1)[-1]
    return (
        _with_adapter(snapshot, name)
        if is_adapter(snapshot)
        else _read_folder(snapshot, name, commit)
    )


def check_spec(spec: str, revision: str | None = None) -> None:
    """Refuse a spec that can be no model: no folder here, and no hub id either; needs no PyTorch.

    Raises:
        BackboneMissing: no such model.
        BackboneUnsupported: a revision of something that has none.
    """
    spec = spec.removeprefix(RANDOM)
    if spec in FEATURES:
        return
    folder = Path(spec).expanduser()
    if revision is not None and (spec in PACKAGED or folder.is_dir()):
        raise BackboneUnsupported(
            f"{argument('revision', revision)} was given with {spec}, which is not on the hub "
            f"and has no revisions. Leave {argument('revision')} out."
        )
    if spec in PACKAGED or folder.is_dir():
        return
    if not HUB_ID.fullmatch(spec):
        raise BackboneMissing(
            f"{spec}: no such folder, and no hub id either. Expected a folder written by "
            f"save_pretrained, or a hub id such as {WELL_KNOWN[2]}."
        )
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", spec):
        every = (*PACKAGED, *FEATURES, *WELL_KNOWN)
        names = [known.rpartition("/")[2] for known in every]
        guess = difflib.get_close_matches(spec.lower(), names, n=1, cutoff=0.5)
        hint = every[names.index(guess[0])] if guess else WELL_KNOWN[2]
        tries = ", ".join(f"`{name}`" for name in dict.fromkeys([hint, EMBEDDED]))
        raise BackboneMissing(
            f"unknown model {spec!r}: there is no such folder, and a model on the hub is written "
            f"owner/name. Try {tries}, or a local folder."
        )


def stated_blocks(spec: str) -> int | None:
    """How many blocks the config of a model on this disk counts; needs no PyTorch.

    None if that takes more than reading the config: of models of the hub, adapters, and families
    that are measured.

    >>> stated_blocks("embedded")
    12
    """
    spec = spec.removeprefix(RANDOM)
    folder = PACKAGED.get(spec, Path(spec).expanduser())
    if spec in FEATURES or is_adapter(folder) or not (folder / "config.json").is_file():
        return None
    config = _read_json(folder / "config.json")
    family = FAMILIES.get(str(config.get("model_type")))
    count = config.get(family.block_count) if family else None
    return count if isinstance(count, int) and count > 0 else None


def is_adapter(folder: Path) -> bool:
    """Say whether a folder holds an adapter of PEFT and no model."""
    return (folder / ADAPTER).is_file() and not (folder / "config.json").is_file()


def _with_adapter(folder: Path, name: str) -> Checkpoint:
    """Read the base of an adapter: a folder, or a model downloaded before.

    A relative path is taken from the folder of the adapter, or else as it stands.
    """
    if (folder / "pytorch_adapter.bin").is_file():
        raise BackboneUnsupported(
            f"{folder}: an adapter of the library adapters, which is not read here. Put it on "
            "its model there, and give a model that has it in its "
            "weights (merge_adapter for LoRA and IA3)."
        )
    record = _read_json(folder / ADAPTER)
    stated = str(record.get("base_model_name_or_path") or "")
    if not stated:
        raise BackboneMissing(
            f"{folder}: an adapter that does not name its base. Write it into {ADAPTER}: "
            "base_model_name_or_path."
        )
    near = folder / stated
    try:
        if near.is_dir() or Path(stated).is_dir():
            base = open_checkpoint(
                str(near if near.is_dir() else stated), None, weights=True, fetch=False
            )
        else:
            base = open_checkpoint(stated, record.get("revision"), weights=True, fetch=False)
    except BackboneMissing as error:
        raise BackboneMissing(
            f"{folder}: the base of this adapter is not there ({ADAPTER}): {error}"
        ) from error
    if base.adapter:
        raise BackboneUnsupported(
            f"{folder}: an adapter on an adapter ({stated}). Merge that one first."
        )
    return replace(base, name=f"{base.name} + {name}", adapter=folder)


def has_weights(folder: Path) -> bool:
    """Say whether a folder holds weights that transformers loads."""
    return any(
        next(folder.glob(pattern), None) for pattern in (*SAFE_WEIGHTS[:2], *OLD_WEIGHTS[:2])
    )


def _packaged(spec: str) -> Checkpoint:
    check_packaged(PACKAGED[spec])
    checkpoint = _read_folder(PACKAGED[spec], spec, None)
    width = checkpoint.config.hidden_size
    depth = checkpoint.config.num_hidden_layers
    return replace(checkpoint, name=f"{CALLED[spec]} {depth}x{width}")


def _read_folder(folder: Path, name: str, revision: str | None) -> Checkpoint:
    if not (folder / "config.json").is_file():
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
        raise BackboneMissing(
            f"no config.json in {folder} (found: {found}); expected a folder written by "
            "save_pretrained. Give the folder that holds "
            f"config.json, or a hub id such as {WELL_KNOWN[2]}."
        )
    check_files(folder, (*SETTINGS, *SAFE_WEIGHTS))  # of an export; other folders keep no checksums
    stated = _read_json(folder / "config.json").get("model_type")
    try:
        with quiet():
            config = import_transformers().AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
    except Exception as error:  # transformers checks a config in many ways
        raise BackboneUnsupported(
            f"{name}: transformers cannot read its config of model_type {stated!r} "
            f"({first_line(error)}); expected a speech encoder such as wavlm, hubert, wav2vec2 "
            "or whisper. Mend config.json, choose another model, "
            "or type `pip install -U transformers`."
        ) from error
    return Checkpoint(
        name, config, preprocessor=_preprocessor(folder), folder=folder, revision=revision
    )


def _preprocessor(folder: Path) -> Mapping[str, Any] | None:
    if (folder / "preprocessor_config.json").is_file():
        return _read_json(folder / "preprocessor_config.json")
    if (folder / "processor_config.json").is_file():  # where newer versions of transformers put it
        return _read_json(folder / "processor_config.json").get("feature_extractor")
    return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except ValueError as error:
        raise BackboneUnsupported(
            f"{path} is not valid JSON: {first_line(error)}. Fetch the file again."
        ) from error
    if not isinstance(content, dict):
        raise BackboneUnsupported(f"{path} holds no JSON object. Fetch the file again.")
    return content


def _download(spec: str, revision: str | None, weights: bool, fetch: bool) -> Path:
    """Fetch the files needed, or find them where an earlier run left them.

    The folder is then read like any other. from_pretrained with a hub id would, for a repository
    without safetensors, look for a conversion made by a robot, in another revision than the one
    asked for.
    """
    import_transformers()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        wanted: dict[str, Any] = {
            "repo_id": spec,
            "revision": revision,
            "local_files_only": not fetch,
        }
        folder = Path(
            snapshot_download(
                **wanted, allow_patterns=SETTINGS + (ADAPTER_FILES + SAFE_WEIGHTS) * weights
            )
        )
        if is_adapter(folder):
            return folder
        if weights and not has_weights(folder):
            folder = Path(snapshot_download(**wanted, allow_patterns=SETTINGS + OLD_WEIGHTS))
    except RevisionNotFoundError as error:
        raise BackboneMissing(
            f"{spec} has no revision {revision!r} on the hub. Leave {argument('revision')} out, "
            "or give a branch, a tag or a commit hash."
        ) from error
    except GatedRepoError as error:
        raise BackboneMissing(
            f"{spec} is on the hub but asks for an account. Accept its "
            "terms there, then type `hf auth login`."
        ) from error
    except RepositoryNotFoundError as error:
        raise BackboneMissing(
            f"unknown model {spec!r}: no such folder here and no such model on the hub (or a "
            "private one). Check the spelling; examples: "
            f"{', '.join(WELL_KNOWN[2:4])}. {ALTERNATIVES}."
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        if not fetch:
            raise HubUnreachable(_not_fetched(spec, revision)) from None
        raise HubUnreachable(
            f"{spec} is not a folder here, was not downloaded before, and the hub cannot be "
            f"reached (offline?). {ALTERNATIVES}."
        ) from error
    if weights and not has_weights(folder):
        if not fetch:
            raise HubUnreachable(_not_fetched(spec, revision))
        raise HubUnreachable(
            f"{spec}: its config was downloaded, its weights were not: the hub holds none as "
            f"safetensors or .bin, or cannot be reached (offline?). Type `random:{spec}` for "
            "random weights, or try again online."
        )
    return folder


def _not_fetched(spec: str, revision: str | None) -> str:
    which = f" {as_flag('revision', revision)}" if revision else ""
    return (
        f"{spec}: named by what is stored, not by this command, so the hub was not asked; and it "
        f"was not downloaded before. If you trust where that is from: hf download {spec}{which}"
    )
