"""Grids: many conditions in one text, each a view."""

import pytest

from cache.errors import OptionError
from probing.robustness import parse_grid

GRID = "noise:white@0,10,20; codec:mulaw,opus@8,mp3@32; reverb:small,large; rawboost:5"


def test_every_value_is_a_condition() -> None:
    found = {condition.name: (condition.kind, condition.snr_db) for condition in parse_grid(GRID)}
    assert found == {
        "noise:white@0": ("noise:white", 0),
        "noise:white@10": ("noise:white", 10),
        "noise:white@20": ("noise:white", 20),
        "codec:mulaw": ("codec", None),
        "codec:opus@8": ("codec", None),
        "codec:mp3@32": ("codec", None),
        "reverb:small": ("reverb", None),
        "reverb:large": ("reverb", None),
        "rawboost:5": ("rawboost", None),
    }


def test_a_number_alone_is_another_one_behind_the_same_at() -> None:
    named = [
        condition.name
        for condition in parse_grid("codec:opus@8,16,alaw; noise:white@0,pink@5,10-20; gain:-20,20")
    ]
    assert named == [
        "codec:opus@8",
        "codec:opus@16",
        "codec:alaw",
        "noise:white@0",
        "noise:pink@5",
        "noise:pink@10-20",
        "gain:-20",
        "gain:20",
    ]


def test_a_plus_makes_one_condition_of_several_transforms() -> None:
    [condition] = parse_grid("resample:8000+codec:alaw")
    assert (condition.name, condition.view) == (
        "resample:8000+codec:alaw",
        "resample:8000,codec:alaw",
    )
    assert condition.file_name == "resample-8000+codec-alaw"


def test_a_folder_is_called_by_its_last_part(tmp_path) -> None:
    import numpy as np
    import soundfile

    (tmp_path / "my noise").mkdir()
    soundfile.write(tmp_path / "my noise" / "a.wav", np.ones(100) / 2, 16000)
    [condition] = parse_grid(f"noise:{tmp_path}/my noise@10")
    assert condition.file_name == "noise-my-noise@10"
    with pytest.raises(OptionError, match="would be in one folder"):
        parse_grid(f"noise:{tmp_path}/my noise@10; noise:{tmp_path}/./my noise@10")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("noise:wite@0,10", "Did you mean white?"),
        ("noise:white@0; codek", "Did you mean codec?"),
        ("gain:3; gain:3", "gain:3 is there twice"),
        ("crop:64600", "crop is for training"),
        (" ; ", "expected conditions, as"),
        ("none", "expected conditions, as"),
    ],
)
def test_what_is_wrong_is_said(text: str, found: str) -> None:
    with pytest.raises(OptionError) as error:
        parse_grid(text)
    assert str(error.value).startswith("grid=")
    assert found in str(error.value)
