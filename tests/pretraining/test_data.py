from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pretraining.small_pretraining import ARCHITECTURE, RECIPE

from probing.audio import Cropping, load_audio
from probing.audio.mel import mel_bands
from probing.provenance.pretraining.batches import Batches, span_mask
from probing.provenance.pretraining.mfcc import mfcc
from probing.provenance.pretraining.recordings import DataMissing, normalised
from probing.provenance.pretraining.run import DEMO_TABLE, Run, open_run
from probing.provenance.pretraining.speakers import assign, held_out_readers, person
from probing.provenance.pretraining.units import UnitsUnavailable, n_frames
from probing.provenance.pretraining.whisper import GAP, N_WINDOW, pack


def test_nobody_whom_an_eval_split_judges_is_decoded(fresh: Run, shared: Path):
    demo = pd.read_csv(DEMO_TABLE)
    judged = {person(name) for name in demo.loc[demo["split"] == "eval", "speaker"]} | {
        "AMI-MEE009"
    }
    offered = pd.read_csv(shared / "data/unlabelled/meta.csv")
    assert judged & {person(name) for name in offered["speaker"]} >= {
        "asterisk-JuneWallack",
        "AMI-MEE009",
    }
    heard = set(fresh.recordings.table["speaker"])
    assert not judged & {person(name) for name in heard}
    assert heard >= {"asterisk-CarloFlora", "AMI-MEE012", "asterisk-AllisonSmith"}
    assert len(fresh.recordings.samples) == fresh.recordings.table["length"].sum()


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("asterisk-CarloFlora_it", "asterisk-CarloFlora"),
        ("asterisk-es_mx", "asterisk-AllisonSmith"),
        ("asterisk-JuneWallack+vc", "asterisk-JuneWallack"),
        ("AMI-MÉO069", "AMI-MEO069"),
        ("asterisk-Maxim_ru+vc", "asterisk-Maxim"),
    ],
)
def test_a_person_is_one_however_the_name_is_spelt(name: str, same: str):
    assert person(name) == person(same) == same


def test_different_people_stay_different():
    names = (
        "fillets-cs-m",
        "fillets-cs-v",
        "tuxpaint-ro",
        "tuxpaint-ru",
        "festvox-ru-nsh",
        "LibriSpeech-89",
    )
    assert len({person(name) for name in names}) == len(names)


def test_held_out_speakers_are_not_trained_on(fresh: Run):
    table = fresh.recordings.table
    heldout = set(table.loc[table["part"] == "heldout", "speaker"])
    assert heldout == {"LibriSpeech-1", "LibriSpeech-2"} or heldout == {"LibriSpeech-1"}
    assert not heldout & set(table.loc[table["part"] == "train", "speaker"])


def test_nobody_of_an_eval_split_is_trained_on_and_held_out_readers_stay_measured():
    n_clips = {f"LibriSpeech-{i}": 1 for i in range(13)} | {
        "LibriSpeech-99": 10,
        "festvox-ru": 3,
        "tuxpaint-ro": 2,
    }
    judged = {"LibriSpeech-99", "festvox-ru"}
    parts = assign(n_clips, judged)
    assert {name for name, part in parts.items() if part == "judged"} == {"festvox-ru"}
    assert parts["LibriSpeech-99"] == "heldout"
    assert parts["tuxpaint-ro"] == "train"
    assert not judged & {name for name, part in parts.items() if part == "train"}


def test_the_eval_readers_of_the_demo_are_held_out_of_the_pretraining():
    meta = Path(__file__).parents[2].parent / "shared" / "data" / "unlabelled" / "meta.csv"
    if not meta.is_file():
        pytest.skip("no shared data")
    demo = pd.read_csv(DEMO_TABLE)
    judged = {person(name) for name in demo.loc[demo["split"] == "eval", "speaker"]}
    readers = {name for name in judged if name.startswith("LibriSpeech-")}
    n_clips = pd.read_csv(meta)["speaker"].value_counts().to_dict()
    assert readers == held_out_readers(n_clips)
    assert not judged & {
        person(name) for name, part in assign(n_clips, judged).items() if part == "train"
    }


def test_a_decoded_clip_is_the_file(fresh: Run, shared: Path):
    path = shared / "data/unlabelled" / fresh.recordings.table["path"].iat[5]
    expected = normalised(load_audio(path, Cropping()))
    np.testing.assert_allclose(fresh.recordings.clip(5), expected, atol=0.01)


def test_a_work_folder_of_other_data_is_refused(fresh: Run, shared: Path, tmp_path: Path):
    other = tmp_path / "other"
    for name in ("unlabelled", "speech-dev"):
        (other / "data" / name).mkdir(parents=True)
        (other / "data" / name / "meta.csv").write_text("path,speaker,split\n")
    with pytest.raises(DataMissing, match="another"):
        open_run(RECIPE, other, fresh.work, "cpu", ARCHITECTURE)
    with pytest.raises(DataMissing, match="data/unlabelled: shared"):
        open_run(RECIPE, tmp_path / "nowhere", tmp_path / "new", "cpu", ARCHITECTURE)


def test_unknown_units_are_refused(shared: Path, fresh: Run):
    with pytest.raises(UnitsUnavailable, match="mfcc, whisper"):
        open_run(replace(RECIPE, units=("phones",)), shared, fresh.work, "cpu", ARCHITECTURE)
    with pytest.raises(UnitsUnavailable, match="units=mfcc"):
        open_run(replace(RECIPE, units=("whisper",)), shared, fresh.work, "cpu", ARCHITECTURE)


def test_features_have_the_frames_of_the_model(fresh: Run):
    model = fresh.training.model
    for n in (400, 559, 560, 719, 720, 16_000, 16_239):
        waveform = fresh.recordings.clip(0)[:n]
        expected = model.feature_extractor(torch.from_numpy(waveform)[None]).shape[-1]
        assert len(mfcc(waveform)) == len(mel_bands(waveform)) == n_frames(n) == expected


def test_units_belong_to_their_frames(fresh: Run):
    units = fresh.units[0]
    assert units.offsets[-1] == len(units.labels)
    assert units.labels.max() < RECIPE.n_clusters
    rows = fresh.recordings.rows("train")
    features = np.concatenate([mfcc(fresh.recordings.clip(int(row))) for row in rows])
    labels = np.concatenate([units.clip(int(row)) for row in rows])
    centres = np.stack([features[labels == k].mean(0) for k in np.unique(labels)])
    nearest = np.linalg.norm(features[:, None] - centres, axis=2).argmin(1)
    assert (np.unique(labels)[nearest] == labels).mean() > 0.9


def test_a_step_is_always_the_same_batch_and_no_other_is(fresh: Run):
    one, again = fresh.batches("train"), Batches(fresh.recordings, fresh.units, RECIPE, "train")
    again.at(3)
    for step in (0, 1, 7):
        for ours, theirs in zip(
            vars(one.at(step)).values(), vars(again.at(step)).values(), strict=True
        ):
            assert torch.equal(ours, theirs)
    assert not torch.equal(one.at(0).waveforms, one.at(1).waveforms)
    assert not torch.equal(
        one.at(0).mask,
        Batches(fresh.recordings, fresh.units, replace(RECIPE, seed=1), "train").at(0).mask,
    )


def test_a_batch_is_normalised_crops_with_a_unit_for_every_frame(fresh: Run):
    batch = fresh.batches("train").at(0)
    assert batch.waveforms.shape == (3, 39 * 320 + 400)
    assert batch.targets.shape == (1, 3, 40)
    assert batch.mask.shape == (3, 40)
    torch.testing.assert_close(batch.waveforms.mean(1), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(batch.waveforms.std(1), torch.ones(3), atol=1e-2, rtol=0)


def test_the_units_of_a_crop_are_those_of_its_frames(fresh: Run):
    clean = replace(RECIPE, mix_speech=0.0, mix_noise=0.0)
    batches = Batches(fresh.recordings, fresh.units, clean, "train")
    rows = fresh.recordings.rows("train")
    features = np.concatenate([mfcc(fresh.recordings.clip(int(row))) for row in rows])
    labels = np.concatenate([fresh.units[0].clip(int(row)) for row in rows])
    centres = np.stack([features[labels == k].mean(0) for k in range(RECIPE.n_clusters)])
    agreeing = []
    for step in range(5):
        batch = batches.at(step)
        for waveform, units in zip(batch.waveforms.numpy(), batch.targets[0].numpy(), strict=True):
            nearest = np.linalg.norm(mfcc(waveform)[:, None] - centres, axis=2).argmin(1)
            agreeing.append(nearest == units)
    assert np.mean(agreeing) > 0.6  # a crop has another level than its clip


def test_mixing_changes_at_most_half_of_a_crop_and_none_of_its_units(fresh: Run):
    clean = Batches(
        fresh.recordings, fresh.units, replace(RECIPE, mix_speech=0.0, mix_noise=0.0), "train"
    )
    mixed = Batches(
        fresh.recordings, fresh.units, replace(RECIPE, mix_speech=1.0, mix_noise=0.0), "train"
    )
    crops = [clean._crop(int(row), np.random.default_rng(0))[0] for row in clean.rows[:8]]
    changed = []
    for i, crop in enumerate(crops):
        mixture = mixed._mixture(i, crops, np.random.default_rng(i))
        changed.append(np.mean(mixture != crop))
    assert np.mean(changed) > 0
    assert np.max(changed) <= 0.5
    assert torch.equal(clean.at(0).targets, mixed.at(0).targets)


def test_a_mask_is_whole_spans():
    mask = span_mask(100, 8, 10, np.random.default_rng(0))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    assert (np.diff(edges)[::2] >= 10).all()
    assert 10 < mask.sum() <= 80


def test_clips_are_packed_into_windows_of_30_seconds():
    lengths = [160_000, 200_000, 100_000, 470_000, 16_000]
    groups = list(pack(lengths))
    assert [i for group in groups for i in group] == list(range(5))
    assert all(
        sum(lengths[i] + GAP for i in group) <= N_WINDOW for group in groups if len(group) > 1
    )
    assert groups[0] == [0, 1, 2] or groups[0] == [0, 1]
