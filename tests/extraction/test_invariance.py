"""The same utterance gives the same numbers, however the work was cut up."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from small_extraction import assert_same, corpus_in, extracted, machine, quiet, speech, with_frames

from cache import Cache, FingerprintMismatch, ProbeError, verify
from probing.extraction import Machine, Options, extract


@pytest.mark.parametrize(
    "how",
    [
        {"batch_size": 1},
        {"batch_size": 16, "shard_size": 16},
        {"workers": 1},
        {"shard_size": 1},
        {"shard_size": 5},
    ],
)
def test_batches_workers_and_shards_change_no_number(
    how, backbone, corpus, undisturbed, tmp_path
) -> None:
    cache = extract(tmp_path / "c", corpus, with_frames(backbone), machine(**how), say=quiet)
    assert_same(cache, undisturbed, places=False)
    assert verify(tmp_path / "c") == []


def test_forward_passes_beside_each_other_change_no_number(
    backbone, corpus, undisturbed, tmp_path
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert machine().threads_on(with_frames(backbone).load_backbone("cpu")) == (3, 1)
        cache = extract(tmp_path / "c", corpus, with_frames(backbone), machine(), say=quiet)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert_same(cache, undisturbed)


def test_the_order_of_the_corpus_changes_no_number(backbone, corpus, undisturbed, tmp_path) -> None:
    shuffled = replace(
        corpus, utterances=corpus.utterances.sample(frac=1, random_state=3, ignore_index=True)
    )
    assert_same(
        extract(tmp_path / "c", shuffled, with_frames(backbone), machine(), say=quiet), undisturbed
    )


def test_the_pooled_tier_is_mean_and_deviation_of_the_frames(undisturbed: Cache) -> None:
    for k in undisturbed.layers:
        pooled, table = undisturbed.layer(k)
        frames = undisturbed.frames(list(table["utterance_id"]), [k])
        expected = np.stack(
            [[x[0].mean(0, np.float64), x[0].astype(np.float64).std(0)] for x in frames]
        )
        scale = np.sqrt(np.mean(expected**2))
        assert np.abs(pooled - expected).max() <= 1e-5 * scale


def test_a_float16_tier_is_the_float32_one_rounded(backbone, corpus, undisturbed, tmp_path) -> None:
    options = with_frames(backbone, frames_dtype="float16", pooled_dtype="float16")
    cache = extract(tmp_path / "c", corpus, options, machine(), say=quiet)
    assert cache.pooled().dtype == cache.layer(0, "frames")[0].dtype == np.float16
    assert_same(cache, undisturbed, tolerance=4e-3)


@pytest.mark.parametrize(("seconds", "n_samples"), [(0.3, 4800), (0.75, 12000)])
def test_every_clip_is_cut_or_repeated_to_exactly_the_length_asked_for(
    seconds, n_samples, backbone, tmp_path
) -> None:
    folder, other = tmp_path / "audio", tmp_path / "by hand"
    for place in (folder, other):
        place.mkdir()
    for i, length in enumerate((4001, 12000, 16000)):
        clip = speech(i, length)
        soundfile.write(folder / f"{i}.wav", clip, 16000, "FLOAT")
        soundfile.write(other / f"{i}.wav", np.tile(clip, 3)[:n_samples], 16000, "FLOAT")
    cropped = extract(
        tmp_path / "c",
        corpus_in(folder),
        with_frames(backbone, seconds=seconds),
        machine(),
        say=quiet,
    )
    whole = extract(tmp_path / "d", corpus_in(other), with_frames(backbone), machine(), say=quiet)
    assert (cropped.utterances["n_samples"] == n_samples).all()
    np.testing.assert_allclose(cropped.pooled(), whole.pooled(), atol=1e-5)


def test_a_longer_clip_is_cut_to_its_beginning(backbone, tmp_path) -> None:
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio/a.wav", speech(1, 16000), 16000)
    options = with_frames(backbone, max_seconds=0.5)
    cache = extract(tmp_path / "c", corpus_in(tmp_path / "audio"), options, machine(), say=quiet)
    assert list(cache.utterances["n_samples"]) == [8000]
    assert list(cache.utterances["audio_seconds"]) == [0.5]


def test_another_split_extends_the_cache_and_leaves_the_first_alone(
    backbone, corpus, undisturbed, tmp_path
) -> None:
    folder, options = tmp_path / "c", with_frames(backbone)
    first = extract(folder, corpus.only(["dev"]), options, machine(), say=quiet)
    shards = {path.name: path.read_bytes() for path in folder.glob("*.h5")}
    assert set(first.utterances["split"]) == {"dev"}
    both = extract(folder, corpus.only(["train"]), options, machine(), say=quiet)
    assert extracted(both) == len(both) - len(first)
    assert {name: (folder / name).read_bytes() for name in shards} == shards
    assert_same(both, undisturbed, places=False)
    assert verify(folder) == []


def test_running_again_does_nothing(backbone, corpus, tmp_path) -> None:
    said: list[str] = []
    extract(tmp_path / "c", corpus, Options(str(backbone)), machine(), say=quiet)
    before = [
        (path.name, path.stat().st_mtime_ns) for path in sorted((tmp_path / "c").glob("*.h5"))
    ]
    cache = extract(tmp_path / "c", corpus, Options(str(backbone)), machine(), say=said.append)
    assert "Nothing to do" in said[-1]
    assert len(cache.manifest.history) == 1
    assert [
        (path.name, path.stat().st_mtime_ns) for path in sorted((tmp_path / "c").glob("*.h5"))
    ] == before


def test_options_that_change_a_number_are_refused_in_the_same_folder(
    backbone, corpus, tmp_path
) -> None:
    extract(tmp_path / "c", corpus, Options(str(backbone)), machine(), say=quiet)
    with pytest.raises(
        FingerprintMismatch, match=r"crop: cache 'first 30 s', this command 'exactly 1 s, repeated'"
    ):
        extract(tmp_path / "c", corpus, Options(str(backbone), seconds=1.0), machine(), say=quiet)


def test_another_corpus_is_refused_in_the_same_folder(backbone, corpus, tmp_path) -> None:
    extract(tmp_path / "c", corpus, Options(str(backbone)), machine(), say=quiet)
    with pytest.raises(ProbeError, match=r"holds the corpus '.*audio', not 'other'"):
        extract(
            tmp_path / "c",
            replace(corpus, name="other"),
            Options(str(backbone)),
            machine(),
            say=quiet,
        )


@pytest.mark.parametrize("finished", [1, 2, 3])
def test_extraction_goes_on_after_an_exception_in_the_middle(
    finished, backbone, corpus, undisturbed, tmp_path
) -> None:
    folder, root, options = tmp_path / "c", tmp_path / "root", with_frames(backbone)
    moved = replace(corpus, root=root)
    ids = sorted(corpus.utterances["utterance_id"])
    blocked = corpus.utterances.set_index("utterance_id")["path"][ids[4 * finished + 1]]
    (root / "audio").mkdir(parents=True)
    for path in corpus.utterances["path"]:
        (root / path).symlink_to(corpus.root / path)
    (root / blocked).unlink()
    with pytest.raises(ProbeError, match="strict=True"):
        extract(folder, moved, options, machine(), strict=True, say=quiet)
    assert 4 * (finished - 1) <= len(Cache(folder)) <= 4 * finished
    (root / blocked).symlink_to(corpus.root / blocked)
    done = len(Cache(folder))
    cache = extract(folder, moved, options, machine(), strict=True, say=quiet)
    assert extracted(cache) == 16 - done
    assert_same(cache, undisturbed)


def test_the_default_machine_is_asked_for_nothing_it_cannot_do() -> None:
    for name in ("batch_size", "workers", "shard_size"):
        with pytest.raises(ProbeError, match=f"{name}=0: expected 1 or more"):
            Machine(**{name: 0})
