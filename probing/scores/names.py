"""Names of score files and of tables of verdicts, checked before any work is done."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from cache.errors import OptionError, argument
from probing.options import check_new_file, one_of

Form = Literal["2019", "2021", "5"]
FORMS: tuple[Form, ...] = get_args(Form)
VERDICT_FILES = (".csv", ".json")
# that a text of scores is not to be called, since whoever opens it expects another content
OTHER_FORMATS = (
    *(
        ".json",
        ".jsonl",
        ".yaml",
        ".yml",
        ".xml",
        ".html",
        ".xlsx",
        ".xls",
        ".ods",
        ".parquet",
        ".feather",
        ".docx",
    ),
    *(
        ".pdf",
        ".png",
        ".jpg",
        ".jpeg",
        ".svg",
        ".wav",
        ".flac",
        ".mp3",
        ".ogg",
        ".opus",
        ".m4a",
        ".aac",
    ),
    *(
        ".h5",
        ".hdf5",
        ".npy",
        ".npz",
        ".mat",
        ".pkl",
        ".pt",
        ".pth",
        ".safetensors",
        ".zip",
        ".tar",
        ".bz2",
        ".xz",
    ),
)


def is_csv(path: Path) -> bool:
    """Whether a file is taken for comma separated: `x.csv`, `x.csv.gz`."""
    return path.name.lower().removesuffix(".gz").endswith(".csv")


def check_score_file(file: Path, form: str | None = None, *, verdicts: bool = False) -> None:
    """Raise OptionError if no score file of a form can be written under a name.

    Call it before any work is done.
    """
    check_form(form)
    if other := other_format(file):
        of_verdicts = f"; {' or '.join(VERDICT_FILES)} for verdicts" if verdicts else ""
        raise OptionError(
            "out",
            file,
            f"is no {other}. Name it .txt, .tsv or without suffix for scores{of_verdicts}",
        )
    if is_csv(file):
        raise OptionError(
            "out", file, "a score file is no csv. Name it .txt, .tsv, or either with .gz"
        )
    check_new_file("out", file)


def check_form(form: str | None) -> None:
    """Raise OptionError where a form of score files is none."""
    if form not in (None, *FORMS):
        raise OptionError("form", form, f"expected {one_of(FORMS)}")


def other_format(file: Path) -> str:
    """The suffix of a name if it says that the content is no text of scores; else empty."""
    suffix = Path(file.name.lower().removesuffix(".gz")).suffix
    return suffix if suffix in OTHER_FORMATS else ""


def check_output(file: Path | None, form: str | None = None, *, verdicts: bool = False) -> None:
    """As `check_score_file`.

    Where there are `verdicts`, a table or JSON of them may be written as well, or nothing.
    """
    if file is None:
        check_form(form)
        if form is not None:
            raise OptionError(
                "form",
                form,
                f"says what {argument('out')} holds. Name a score file, or leave it out",
            )
        return
    if not verdicts or file.suffix.lower() not in VERDICT_FILES:
        check_score_file(file, form, verdicts=verdicts)
        return
    if form is not None:
        raise OptionError(
            "form",
            form,
            f"{file.name} holds verdicts, and no score file. Name it .txt, or leave it out",
        )
    check_new_file("out", file)
