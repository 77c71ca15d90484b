"""Views: the same utterances through transforms, the same each time, beside the clean cache."""

from pathlib import Path

import numpy as np
import pytest
from small_extraction import assert_same, machine, quiet, with_frames

from analysis.caches.waveforms import Waveforms
from cache import Cache, FingerprintMismatch, ProbeError
from probing.audio import Cropping, load_audio
from probing.augmentation import Augmentation
from probing.corpora import Corpus
from probing.extraction import Options, extract, layers_of, repair, states
from probing.robustness import parse_grid
from probing.robustness.views import extract_views
from probing.sweep.splits import check_comparable
from probing.targets.aligned import refuse_moved_time

VIEW = "rawboost:5,noise:white@10"
GRID = parse_grid("noise:white@10; resample:8000+codec:alaw")


@pytest.fixture(scope="module")
def view(backbone: Path, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return extract(
        tmp_path_factory.mktemp("view") / "c",
        corpus,
        with_frames(backbone, view=VIEW),
        machine(),
        say=quiet,
    )


@pytest.fixture(scope="module")
def grid(undisturbed: Cache, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cache]:
    folder = tmp_path_factory.mktemp("grid")
    return extract_views(undisturbed, GRID, None, machine(), folder=folder, say=quiet)


def test_a_view_has_the_rows_of_the_clean_cache_and_says_what_it_is(
    view: Cache, undisturbed: Cache
) -> None:
    columns = ["utterance_id", "shard", "row", "n_samples", "n_frames", "file_crc32", "label"]
    assert view.utterances[columns].equals(undisturbed.utterances[columns])
    assert '"algorithm": 5' in view.fingerprint["view"]
    assert view.fingerprint["view_seed"] == 0
    assert "view" not in undisturbed.fingerprint
    assert Options(**view.about["options"]).view == VIEW


def test_the_model_hears_the_transformed_clip(view: Cache, backbone: Path, corpus: Corpus) -> None:
    name, path = view.utterances.loc[3, ["utterance_id", "path"]]
    heard = Augmentation.of(VIEW).apply(
        load_audio(corpus.root / path, Cropping()), seed=0, utterance=name
    )
    options = with_frames(backbone)
    [(_, frames)] = layers_of({name: heard}, options.load_backbone("cpu"), options)
    np.testing.assert_allclose(view.frames([name])[0], frames, atol=1e-4 * np.abs(frames).max())
    np.testing.assert_array_equal(Waveforms(view).load(name, path), heard)


def test_a_view_does_not_depend_on_batches_shards_or_a_stop(
    view: Cache, backbone: Path, corpus: Corpus, tmp_path: Path
) -> None:
    options = with_frames(backbone, view=VIEW)
    extract(tmp_path / "c", corpus.only(["dev"]), options, machine(batch_size=1), say=quiet)
    again = extract(
        tmp_path / "c", corpus, options, machine(batch_size=3, shard_size=5, workers=1), say=quiet
    )
    assert_same(again, view, places=False)


def test_a_repaired_view_is_the_same(
    view: Cache, corpus: Corpus, backbone: Path, tmp_path: Path
) -> None:
    other = extract(tmp_path / "c", corpus, with_frames(backbone, view=VIEW), machine(), say=quiet)
    shard = other.folder / other.manifest.shards[0].file
    shard.write_bytes(shard.read_bytes()[:-4000])
    assert_same(repair(other.folder, None, machine(), say=quiet), view, places=False)


def test_another_view_or_seed_is_refused(view: Cache, backbone: Path, corpus: Corpus) -> None:
    for what in ({"view": "gain:-6"}, {"view": VIEW, "view_seed": 1}, {}):
        with pytest.raises(FingerprintMismatch, match="view"):
            extract(view.folder, corpus, with_frames(backbone, **what), machine(), say=quiet)


def test_speed_changes_lengths_and_keeps_utterances(
    undisturbed: Cache, backbone: Path, corpus: Corpus, tmp_path: Path
) -> None:
    faster = extract(
        tmp_path / "c", corpus, Options(str(backbone), view="speed:1.25"), machine(), say=quiet
    )
    assert faster.utterances["utterance_id"].equals(undisturbed.utterances["utterance_id"])
    ratios = undisturbed.utterances["n_samples"] / faster.utterances["n_samples"]
    np.testing.assert_allclose(ratios, 1.25, rtol=1e-3)
    with pytest.raises(ProbeError, match="speed moves what was said"):
        refuse_moved_time(faster)
    refuse_moved_time(undisturbed)


def test_a_probe_of_clean_audio_may_be_measured_on_a_view(view: Cache, undisturbed: Cache) -> None:
    check_comparable(undisturbed, view, "frames")


def test_views_of_a_grid_are_what_each_alone_would_be(
    grid: dict[str, Cache], backbone: Path, corpus: Corpus, tmp_path: Path
) -> None:
    assert list(grid) == ["noise:white@10", "resample:8000+codec:alaw"]
    alone = extract(
        tmp_path / "c",
        corpus,
        with_frames(backbone, view="resample:8000,codec:alaw"),
        machine(),
        say=quiet,
    )
    assert_same(grid["resample:8000+codec:alaw"], alone)
    assert grid["resample:8000+codec:alaw"].id == alone.id


def test_a_grid_decodes_each_file_once_and_goes_on_where_it_stopped(
    undisturbed: Cache, grid: dict[str, Cache], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []

    def counting(path: Path, *how: object) -> np.ndarray:
        decoded.append(path)
        if len(decoded) == 11:
            raise OSError("the plug is pulled")
        return load_audio(path, *how)

    monkeypatch.setattr(states, "load_audio", counting)
    with pytest.raises(OSError, match="plug"):
        extract_views(
            undisturbed, GRID, None, machine(workers=1), folder=tmp_path / "views", say=quiet
        )
    finished = {path.name: len(Cache(path)) for path in (tmp_path / "views").glob("*.cache")}
    assert set(finished.values()) & {4, 8}
    assert len(set(decoded[:10])) == 10
    before = len(decoded)
    made = extract_views(
        undisturbed, GRID, None, machine(workers=1), folder=tmp_path / "views", say=quiet
    )
    assert len(decoded) - before <= len(undisturbed) - min(finished.values())
    for name, cache in made.items():
        assert_same(cache, grid[name])


def test_views_that_are_there_need_neither_model_nor_audio(
    undisturbed: Cache, grid: dict[str, Cache]
) -> None:
    folder = next(iter(grid.values())).folder.parent
    some = undisturbed.utterances.head(5)
    again = extract_views(
        undisturbed, GRID, some, folder=folder, audio_root=Path("/nowhere"), say=quiet
    )
    assert {name: cache.id for name, cache in again.items()} == {
        name: cache.id for name, cache in grid.items()
    }


def test_a_view_of_a_view_is_refused(view: Cache) -> None:
    with pytest.raises(ProbeError, match="is a view itself"):
        extract_views(view, GRID, say=quiet)
