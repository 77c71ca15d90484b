"""What was written is what is read, for any shape, type, id and way of asking."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_store import Recipe, names

from cache import Cache, CacheMissing, ProbeError, verify
from cache.quantization import read_as
from cache.table import plan

IDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=12)
RECIPES = st.builds(
    Recipe,
    layers=st.sets(st.integers(0, 120), min_size=1, max_size=4).map(
        lambda layers: tuple(sorted(layers))
    ),
    dim=st.integers(1, 9),
    tiers=st.fixed_dictionaries(
        {"pooled": st.sampled_from(["float16", "float32"])},
        optional={"frames": st.sampled_from(["float16", "float32", "int8"])},
    ),
    measures=st.sampled_from([(), ("a",), ("a", "é b")]),
    most_frames=st.integers(1, 40),
    salt=st.integers(0, 9),
)
STORES = st.tuples(
    RECIPES, st.lists(IDS, min_size=1, max_size=14, unique=True), st.integers(1, 6), st.data()
)


@given(STORES)
@settings(max_examples=20, deadline=None)
def test_everything_written_is_read_back(drawn) -> None:
    recipe, ids, shard_size, data = drawn
    failures = dict.fromkeys(data.draw(st.lists(st.sampled_from(ids), max_size=3)), "why, “so”\n")
    good = [name for name in sorted(ids) if name not in failures]
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "c"
        recipe.write(folder, ids, shard_size, failures=failures)
        cache = Cache(folder)
        assert verify(folder) == []
        assert list(cache.utterances["utterance_id"]) == good
        assert cache.finished
        assert cache.n_planned == len(ids)
        assert (
            dict(zip(cache.failures["utterance_id"], cache.failures["reason"], strict=True))
            == failures
        )
        for name in recipe.measures:
            assert list(cache.utterances[name]) == [recipe.measure(name) for name in good]
        assert list(cache.utterances["n_frames"]) == [recipe.n_frames(name) for name in good]
        if good:
            _check_arrays(
                cache, recipe, good, data.draw(st.lists(st.sampled_from(good), max_size=6))
            )


def _check_arrays(cache: Cache, recipe: Recipe, good: list[str], asked: list[str]) -> None:
    pooled = np.stack([recipe.states(name, "pooled") for name in good], axis=1)
    np.testing.assert_array_equal(cache.pooled(), pooled)
    assert cache.pooled().dtype == recipe.tiers["pooled"]
    chosen = cache.utterances[cache.utterances["utterance_id"].isin(asked)]
    np.testing.assert_array_equal(
        cache.pooled(recipe.layers[::-1], chosen), pooled[::-1, chosen.index]
    )
    for i, k in enumerate(recipe.layers):
        x, table = cache.layer(k)
        np.testing.assert_array_equal(x, pooled[i])
        assert list(table["utterance_id"]) == good
        if "frames" in recipe.tiers:
            x, table = cache.layer(k, "frames", where=cache.utterances["utterance_id"].isin(asked))
            assert x.dtype == read_as(recipe.tiers["frames"])
            assert len(x) == table["n_frames"].sum()
            for row in table.itertuples():
                block = x[row.first_frame : row.first_frame + row.n_frames]
                np.testing.assert_array_equal(block, recipe.states(row.utterance_id, "frames")[i])
    if "frames" in recipe.tiers:
        for name, x in zip(asked, cache.frames(asked, recipe.layers[:1]), strict=True):
            np.testing.assert_array_equal(x, recipe.states(name, "frames")[:1])
        for name, x in zip(asked, cache.frames(asked), strict=True):
            np.testing.assert_array_equal(x, recipe.states(name, "frames"))


@given(st.permutations(names(11)), st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_the_plan_does_not_depend_on_the_order_of_the_corpus(
    shuffled: list[str], shard_size: int
) -> None:
    recipe = Recipe()
    pd.testing.assert_frame_equal(
        plan(None, recipe.corpus(shuffled), (), shard_size),
        plan(None, recipe.corpus(names(11)), (), shard_size),
    )


WAYS = {
    "query": "split == 'dev' and attack != 'A01'",
    "mapping": {"split": "dev", "attack": ["-", "A02"]},
    "function": lambda table: (table["split"] == "dev") & (table["attack"] != "A01"),
    "mask": None,
}


@pytest.mark.parametrize("way", WAYS)
def test_select_takes_a_query_a_mapping_a_function_or_a_mask(way: str, store) -> None:
    cache = Cache(store(30))
    mask = (cache.utterances["split"] == "dev") & (cache.utterances["attack"] != "A01")
    assert 0 < mask.sum() < 30
    where = list(mask) if way == "mask" else WAYS[way]
    assert list(cache.select(where)["utterance_id"]) == list(
        cache.utterances.loc[mask, "utterance_id"]
    )


WRONG = [
    "split == ",
    "split == 'dev",
    "nope == 1",
    "split",
    "n_frames + 1",
    "n_frames = 1",
    "split.nope()",
    "lambda x: x",
    "1",
    "True",
    "",
    "@x > 1",
    "import os",
    {"nope": 1},
    [True, False],
    5,
    lambda table: table["split"],
    lambda table: None,
]


@pytest.mark.parametrize(
    "where", WRONG, ids=lambda where: "function" if callable(where) else str(where)
)
def test_a_selection_that_means_nothing_is_refused(where, store) -> None:
    with pytest.raises(ProbeError, match="where"):
        Cache(store(4)).select(where)


@pytest.mark.parametrize(
    ("where", "advice"),
    [
        ("split > 3", r"Those of a corpus are text: age\.astype\('float'\) > 30"),
        ("split = 'dev'", "as \"split == 'dev'\" does"),
    ],
)
def test_a_selection_that_is_nearly_one_says_how_it_is_written(where, advice, store) -> None:
    with pytest.raises(ProbeError, match=advice):
        Cache(store(4)).select(where)


@given(st.text("splitdev='\"()[]&|~@.` 019\\", max_size=14))
@settings(max_examples=20, deadline=None)
@pytest.mark.filterwarnings("ignore")  # of Python, about the expression
def test_any_text_is_a_selection_or_refused(where: str) -> None:
    with tempfile.TemporaryDirectory() as home:
        Recipe().write(Path(home) / "c", ["a"])
        cache = Cache(Path(home) / "c")
        with contextlib.suppress(ProbeError):
            assert isinstance(cache.select(where), pd.DataFrame)


def test_a_layer_tier_or_utterance_that_is_not_there_is_named(store) -> None:
    cache = Cache(store(recipe=Recipe(tiers={"pooled": "float32"})))
    with pytest.raises(ProbeError, match=r"no layer 7, only 0\.\.2"):
        cache.layer(7)
    with pytest.raises(ProbeError, match=r"no tier 'frames'.*Extract again with frames"):
        cache.frames(["a"])
    with pytest.raises(ProbeError, match="no utterance 'x'"):
        Cache(store(name="d")).frames(["x"])


def test_a_folder_without_a_cache_is_missing_in_both_senses(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(CacheMissing, match="probe extract"):
            Cache(folder)
        with pytest.raises(FileNotFoundError):
            Cache(folder)


def test_reading_leaves_no_trace_in_a_read_only_folder(store) -> None:
    folder = store()
    for path in folder.iterdir():
        path.chmod(0o444)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    folder.chmod(0o555)
    try:
        cache = Cache(folder)
        cache.layer(0), cache.frames(cache.utterances["utterance_id"][:2]), verify(folder)
        assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    finally:
        folder.chmod(0o755)


def test_relative_paths_and_names_that_are_not_ascii_work(
    store, tmp_path: Path, monkeypatch
) -> None:
    store(name="Größe 語 cache")
    monkeypatch.chdir(tmp_path)
    cache = Cache("Größe 語 cache")
    np.testing.assert_array_equal(
        cache.layer(1)[0][0], Recipe().states(cache.utterances["utterance_id"][0], "pooled")[1]
    )
    assert verify(Path("Größe 語 cache")) == []


def test_a_notebook_shows_what_is_in_a_cache(store: Callable[..., Path]) -> None:
    cache = Cache(store(name="<b>c"))
    page = cache._repr_html_()
    assert "&lt;b&gt;c" in page
    assert "<b>c" not in page
    assert cache.id in page
    assert "10 of 10, 0 could not be used" in page
    assert all(f"{tier} ({dtype})" in page for tier, dtype in cache.tiers.items())
