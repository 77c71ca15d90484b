"""The models in the package: where they are, and whether their files are those of their cards."""

import hashlib
import re
from importlib import resources
from pathlib import Path

from probing.sealing import Damaged

EMBEDDED = "embedded"
MOONSHINE = "moonshine"
_HERE = Path(str(resources.files(__package__)))
# what is typed -> its folder
PACKAGED = {EMBEDDED: _HERE / "embedded", MOONSHINE: _HERE / "moonshine"}
# by plots and tables, before its size
CALLED = {EMBEDDED: "embedded WavLM", MOONSHINE: "Moonshine tiny encoder"}
CARD = "README.md"
FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
_LISTED = re.compile(r"^- `([^`/]+)` ([0-9a-f]{64})$", re.MULTILINE)


def check_packaged(folder: Path) -> None:
    """Compare the files of a model with the SHA-256 that its card names.

    Raises:
        Damaged: a file is missing or has other bytes, or the card does not name it.
    """
    card = folder / CARD
    listed = (
        dict(_LISTED.findall(card.read_text(encoding="utf-8", errors="replace")))
        if card.is_file()
        else {}
    )
    for name in FILES:
        path = folder / name
        expected = listed.get(name)
        if expected is None:
            raise Damaged(f"{card}: damaged (no SHA-256 of {name}). {_ADVICE}")
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no such file"
        if found != expected:
            raise Damaged(f"{path}: damaged (SHA-256 {found}, expected {expected}). {_ADVICE}")


_ADVICE = "Install this package again: pip install --force-reinstall --no-deps, from where it came"


def hidden_folder(spec: str) -> str | None:
    """What to type for a model's folder that has the name of a packaged one; or None.

    The name alone means the packaged model, whatever lies in the working directory.
    """
    return f"./{spec}" if spec in PACKAGED and (Path(spec) / "config.json").is_file() else None
