"""Units hold the frames whose centres their intervals hold, and features are those of
these frames.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_store import Recipe, names

from cache import Cache, ProbeError
from cache.errors import OptionError
from cache.manifest import load_manifest
from cache.timing import ENTRY, FrameTiming
from probing.alignments import AlignmentError, Alignments
from probing.units import SILENCE, UnitError, scored_frames, unit_blocks, unit_features, units_of

WAVLM, WHISPER, STREAMING = FrameTiming(320, 200), FrameTiming(320, 0), FrameTiming(320, -440)
LABELS = ("aa", "t", "SIL", "sh")


def with_timing(folder: Path, timing: FrameTiming = WAVLM, **about: object) -> Cache:
    manifest = load_manifest(folder)
    replace(manifest, about={**manifest.about, ENTRY: timing.as_dict(), **about}).save(folder)
    return Cache(folder)


@pytest.fixture(scope="module")
def long_cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """20 utterances of up to 40 frames of 20 ms."""
    folder = tmp_path_factory.mktemp("long") / "c"
    Recipe(most_frames=40, dim=5).write(folder, names(20), 6)
    return with_timing(folder)


def table(*rows: tuple[str, float, float, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["utterance_id", "start", "end", "label"])


def random_alignment(cache: Cache, seed: int) -> pd.DataFrame:
    """Intervals with gaps and some shorter than a frame, all in milliseconds, of most
    utterances.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for name, n in zip(
        cache.utterances["utterance_id"], cache.utterances["n_samples"], strict=True
    ):
        edges = np.sort(generator.choice(1 + n // 16, min(9, n // 16), replace=False)) / 1000
        for start, end in itertools.pairwise(edges):
            if generator.random() < 0.8:
                rows.append((name, start, end, LABELS[generator.integers(len(LABELS))]))
    return table(*rows)


@pytest.mark.parametrize("timing", [WAVLM, WHISPER, STREAMING])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=6, deadline=None)
def test_a_frame_has_the_label_of_the_interval_that_holds_its_centre(
    timing: FrameTiming, seed: int, long_cache: Cache
) -> None:
    cache = with_timing(long_cache.folder, timing)
    rows = random_alignment(cache, seed)
    expected = []
    for name in cache.utterances["utterance_id"]:
        own = rows[rows["utterance_id"] == name]
        for frame, time in enumerate(cache.frame_times(name)):
            held = own[(own["start"] <= time + 1e-9) & (time + 1e-9 < own["end"])]
            if len(held) and held["label"].iloc[0] != "SIL":
                expected.append((name, frame, frame, held["label"].iloc[0], held["start"].iloc[0]))
    found = units_of(cache, rows.sample(frac=1, random_state=seed), "frame").table
    columns = ["utterance_id", "first_frame", "last_frame", "label", "start"]
    assert list(found[columns].itertuples(index=False, name=None)) == expected


@given(seed=st.integers(0, 10**6))
@settings(max_examples=6, deadline=None)
def test_features_of_segments_are_means_of_their_frames(seed: int, long_cache: Cache) -> None:
    rows = random_alignment(long_cache, seed)
    frames = units_of(long_cache, rows, "frame", silence="keep").table
    segments = units_of(long_cache, rows, "segment", silence="keep", short="leave-out").table
    of_frames = unit_features(long_cache, 1, frames)
    expected = [
        of_frames[((frames["utterance_id"] == name) & (frames["start"] == start)).to_numpy()].mean(
            axis=0
        )
        for name, start in zip(segments["utterance_id"], segments["start"], strict=True)
    ]
    shuffled = segments.sample(frac=1, random_state=seed)
    np.testing.assert_allclose(
        unit_features(long_cache, 1, segments), expected, rtol=1e-6, atol=1e-6
    )
    np.testing.assert_array_equal(
        unit_features(long_cache, 1, shuffled),
        unit_features(long_cache, 1, segments)[shuffled.index],
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
@pytest.mark.parametrize("most", [1, 50, 1 << 16])
def test_every_unit_comes_once_from_blocks_of_any_size(
    dtype: str, most: int, tmp_path: Path
) -> None:
    recipe = Recipe(most_frames=30, tiers={"pooled": "float32", "frames": dtype})
    recipe.write(tmp_path / "c", names(9), 4)
    cache = with_timing(tmp_path / "c")
    units = units_of(cache, random_alignment(cache, 1), "frame").table.sample(
        frac=1, random_state=0
    )
    seen = np.zeros(len(units), int)
    for rows, features in unit_blocks(cache, 2, units, most):
        assert features.dtype == np.float32
        seen[rows] += 1
        for row, feature in zip(rows, features, strict=True):
            unit = units.iloc[row]
            np.testing.assert_array_equal(
                feature, recipe.states(unit["utterance_id"], "frames")[2][unit["first_frame"]]
            )
    assert (seen == 1).all()


def test_the_middle_of_a_segment_is_the_frame_nearest_to_its_middle(long_cache: Cache) -> None:
    rows = random_alignment(long_cache, 3)
    found = units_of(long_cache, rows, "middle", silence="keep", short="leave-out").table
    assert (found["first_frame"] == found["last_frame"]).all()
    segments = units_of(long_cache, rows, "segment", silence="keep", short="leave-out").table
    for unit, segment in zip(found.itertuples(), segments.itertuples(), strict=True):
        inside = np.arange(segment.first_frame, segment.last_frame + 1)
        away = np.abs(
            long_cache.frame_times(unit.utterance_id)[inside] - (unit.start + unit.end) / 2
        )
        assert away[inside == unit.first_frame] == pytest.approx(away.min(), abs=1e-9)


def longest(cache: Cache) -> tuple[str, int]:
    row = cache.utterances.sort_values("n_frames").iloc[-1]
    return row["utterance_id"], int(row["n_frames"])


def test_a_segment_without_a_centre_has_the_nearest_frame_or_is_counted(long_cache: Cache) -> None:
    name, n = longest(long_cache)
    rows = table(
        (name, 0.0, 0.002, "a"),
        (name, 0.05, 0.06, "b"),
        (name, (n * 320 - 1) / 16000, n * 0.02, "c"),
    )
    found = units_of(long_cache, rows, "segment")
    assert list(found.table["first_frame"]) == [0, 2, n - 1]
    assert any(
        "2 intervals hold no frame's centre" in note or "3 intervals" in note
        for note in found.notes
    )
    left = units_of(long_cache, rows, "segment", short="leave-out")
    assert list(left.table["label"]) == ["b"]
    assert left.excluded == {"in which no frame has its centre": 2, "of silence": 0}


def test_silence_is_left_out_or_a_class_or_kept(long_cache: Cache) -> None:
    name, n = longest(long_cache)
    rows = table((name, 0.1, 0.2, "a"), (name, 0.2, 0.3, "h#"), (name, 0.4, 0.5, "b"))
    assert list(units_of(long_cache, rows, "segment").table["label"]) == ["a", "b"]
    assert list(units_of(long_cache, rows, "segment", silence="keep").table["label"]) == [
        "a",
        "h#",
        "b",
    ]
    assert list(units_of(long_cache, rows, "segment", silences=["B"]).table["label"]) == ["a", "h#"]
    classes = units_of(long_cache, rows, "segment", silence="class").table
    assert list(classes["label"]) == [SILENCE, "a", SILENCE, "b", SILENCE]
    assert list(classes["end"]) == pytest.approx([0.1, 0.2, 0.4, 0.5, n * 0.02])
    frames = units_of(long_cache, rows, "frame", silence="class").table
    assert list(frames["first_frame"]) == list(range(n))


def test_columns_of_the_utterances_are_repeated_under_names_that_do_not_clash(
    long_cache: Cache,
) -> None:
    name, _ = longest(long_cache)
    found = units_of(long_cache, table((name, 0.0, 0.1, "aa")), "frame").table
    own = long_cache.utterances.set_index("utterance_id").loc[name]
    assert set(found["utterance_label"]) == {own["label"]}
    assert set(found["split"]) == {own["split"]}
    assert "loudness" not in found
    few = units_of(long_cache, table((name, 0.0, 0.1, "aa")), "frame", columns=["split"]).table
    assert "attack" not in few
    with pytest.raises(OptionError, match="columns=wrong"):
        units_of(long_cache, table((name, 0.0, 0.1, "aa")), columns=["wrong"])


def test_intervals_behind_the_end_are_counted_and_times_in_other_units_refused(
    long_cache: Cache,
) -> None:
    name, n = longest(long_cache)
    rows = table((name, 0.0, 0.1, "a"), (name, 0.1, n + 5.0, "b"), (name, n + 5.0, n + 6.0, "c"))
    found = units_of(long_cache, rows, "segment")
    assert list(found.table["last_frame"]) == [4, n - 1]
    assert found.table["end"].iloc[1] == pytest.approx(n * 0.02)
    assert found.excluded["behind the end of the clip that the model saw"] == 1
    with pytest.raises(UnitError, match="begin behind the end of their clips"):
        units_of(
            long_cache,
            table(
                (name, 0.0, 1600.0, "a"), (name, 1600.0, 3200.0, "b"), (name, 3200.0, 4800.0, "b")
            ),
        )


def test_clips_that_were_cut_may_lie_before_most_of_their_intervals(tmp_path: Path) -> None:
    Recipe(most_frames=1).write(tmp_path / "c", names(1))
    cache = with_timing(tmp_path / "c", options={"max_seconds": 0.02, "seconds": None})
    rows = table(*((names(1)[0], i / 50, (i + 1) / 50, "a") for i in range(9)))
    assert units_of(cache, rows).excluded["behind the end of the clip that the model saw"] == 8
    repeated = with_timing(tmp_path / "c", options={"max_seconds": 30.0, "seconds": 0.02})
    with pytest.raises(OptionError, match=r"silence=class.*repeated"):
        units_of(repeated, rows, silence="class")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("é-000", 0.1, 0.0, "a")], "before its start"),
        ([("é-000", 0.0, np.nan, "a")], "finite"),
        ([("é-000", -1.0, 0.1, "a")], "before the clip"),
        ([("é-000", 0.0, 0.2, "a"), ("é-000", 0.1, 0.3, "b")], "overlap"),
        ([("other", 0.0, 0.2, "a")], "not in the cache"),
        ([("é-000", 0.0, 0.2, "sil")], "1 of silence"),
    ],
)
def test_intervals_that_cannot_be_are_refused(rows, message, long_cache: Cache) -> None:
    with pytest.raises((AlignmentError, UnitError), match=message):
        units_of(long_cache, table(*rows))


@pytest.mark.parametrize("option", [{"unit": "word"}, {"silence": "no"}, {"short": "no"}])
def test_an_option_without_such_a_value_is_refused(
    option: dict[str, str], long_cache: Cache
) -> None:
    with pytest.raises(OptionError, match="expected"):
        units_of(long_cache, table(("é-000", 0.0, 0.2, "a")), **option)


def test_a_cache_without_frames_is_refused(store: Callable[..., Path]) -> None:
    folder = store(recipe=Recipe(tiers={"pooled": "float32"}))
    with pytest.raises(ProbeError, match="no tier 'frames'"):
        units_of(with_timing(folder), Alignments(table(("é-000", 0.0, 0.2, "a"))))


def test_units_of_another_cache_are_refused(long_cache: Cache) -> None:
    units = units_of(long_cache, table((longest(long_cache)[0], 0.0, 0.1, "a"))).table
    with pytest.raises(UnitError, match="made from this cache"):
        unit_features(long_cache, 1, units.assign(last_frame=99))
    with pytest.raises(UnitError, match="made from this cache"):
        unit_features(long_cache, 1, units.assign(utterance_id="other"))


@pytest.mark.parametrize("timing", [WAVLM, WHISPER, STREAMING, FrameTiming(640, 360)])
def test_scored_frames_cover_their_clips_once(timing: FrameTiming, long_cache: Cache) -> None:
    cache = with_timing(long_cache.folder, timing)
    frames = pd.DataFrame(
        [
            (name, i)
            for name, n in zip(
                cache.utterances["utterance_id"], cache.utterances["n_frames"], strict=True
            )
            for i in range(n)
        ],
        columns=["utterance_id", "first_frame"],
    )
    scored = scored_frames(cache, frames, np.arange(len(frames)))
    for name, n_samples in zip(
        cache.utterances["utterance_id"], cache.utterances["n_samples"], strict=True
    ):
        own = scored[scored["utterance_id"] == name]
        times = cache.frame_times(name)
        if times[-1] < 0:  # a causal front end, and a clip shorter than its delay
            continue
        assert own["start"].iloc[0] == 0
        assert own["end"].iloc[-1] == pytest.approx(n_samples / 16000)
        np.testing.assert_allclose(own["end"].iloc[:-1], own["start"].iloc[1:], atol=1e-12)
        inside = own["score"].to_numpy() - frames.index[frames["utterance_id"] == name][0]
        held = times[inside.astype(int)]
        assert ((held >= own["start"] - 1e-9) & (held <= own["end"] + 1e-9))[1:-1].all()
    with pytest.raises(UnitError, match="expected one for each"):
        scored_frames(cache, frames, [1.0])
    with pytest.raises(UnitError, match="no utterance 'other'"):
        scored_frames(cache, frames.assign(utterance_id="other"), np.zeros(len(frames)))
