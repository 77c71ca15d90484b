"""Chains: how they are typed, what is refused, and that chance depends on seed, utterance and epoch
alone.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from cache.errors import OptionError
from probing.augmentation import TRANSFORMS, Augmentation, Transform, crop
from probing.registry import RegistryError

RELEASED = [0.074306093, 0.11537672, 0.008619042]
NOISE = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("rawboost:5,codec", ["rawboost:5", "codec"]),
        ("codec:mulaw,opus@8,gain:-6", ["codec:mulaw,opus@8", "gain:-6"]),
        ("noise:white@0,10-20, speed:0.9-1.1", ["noise:white@0,10-20", "speed:0.9-1.1"]),
        ("none", []),
    ],
)
def test_chains_are_read(text: str, parts: list[str]) -> None:
    assert Augmentation.of(text).describe() == parts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rawbost:5", "there is no transform 'rawbost'. Did you mean rawboost?"),
        ("rawboost:9", "there is no algorithm '9'. Expected one of 0 to 8"),
        ("rawboost:5,codek", "there is no transform 'codek'. Did you mean codec?"),
        ("codec:opuz@8", "there is no codec 'opuz'. Did you mean opus?"),
        ("codec:opus@5", "'5' kbit/s: opus takes 6 to 256"),
        ("codec:mulaw,gian", "Did you mean gain?"),
        ("noise:wite@3", "there is no folder 'wite'. Did you mean white?"),
        ("noise:white@loud", "'loud' is no number"),
        ("noise:white@10-0", "the range 10-0 goes down"),
        ("reverb:smal", "Did you mean small?"),
        ("gain", "'' is no number"),
        ("speed:3", "the factor 3 is not within 0.5 to 2"),
        ("clip:0", "the share 0 is not within 0.01 to 1"),
        ("resample:8k", "'8k' is no whole number"),
        ("crop:3", "'3' is no whole number of 800 or more"),
        ("gain:-6,,clip:0.3", "there is no transform ''"),
    ],
)
def test_what_is_wrong_is_said_with_the_nearest_word(text: str, found: str) -> None:
    with pytest.raises(OptionError) as error:
        Augmentation.of(text, "view")
    assert str(error.value).startswith(f"view={text}: ")
    assert found in str(error.value)


def test_chance_depends_on_seed_utterance_and_epoch_alone() -> None:
    chain = Augmentation.of("rawboost:5,noise:white,gain:-6-6")
    made = {
        by: chain.apply(NOISE, seed=by[0], utterance=by[1], epoch=by[2])
        for by in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]
    }
    again = Augmentation.of("rawboost:5,noise:white,gain:-6-6").apply(NOISE, seed=0, utterance="a")
    np.testing.assert_array_equal(again, made[0, "a", 0])
    values = list(made.values())
    assert all(
        not np.array_equal(one, other) for i, one in enumerate(values) for other in values[:i]
    )


def test_numbers_stay_what_they_were_released_as() -> None:
    made = Augmentation.of("rawboost:4,noise:pink@10").apply(
        NOISE, seed=1, utterance="LA_T_1000137", epoch=2
    )
    np.testing.assert_allclose(made[[0, 100, 3999]], RELEASED, rtol=1e-4)


def test_the_waveform_is_not_written_to() -> None:
    before = NOISE.copy()
    for kind in (
        "rawboost:8",
        "noise:white@0",
        "gain:3",
        "clip:0.1",
        "resample:8000",
        "speed:0.9",
        "codec:alaw",
        "none",
    ):
        Augmentation.of(kind).apply(NOISE, seed=0, utterance="a")
    np.testing.assert_array_equal(NOISE, before)


def test_crops_are_tiled_seeded_and_from_the_start_if_not_random() -> None:
    ramp = np.arange(1000, dtype=np.float32)
    short = crop(ramp, 2500, seed=0, utterance="a")
    np.testing.assert_array_equal(short, np.tile(ramp, 3)[:2500])
    starts = {int(crop(ramp, 100, seed=0, utterance="a", epoch=epoch)[0]) for epoch in range(50)}
    assert len(starts) > 30
    assert min(starts) >= 0
    assert max(starts) <= 900
    np.testing.assert_array_equal(crop(ramp, 100, seed=0, utterance="a", random=False), ramp[:100])


def test_a_transform_of_ones_own_is_used_by_its_name() -> None:
    @TRANSFORMS.own
    @dataclass(frozen=True)
    class Reverse(Transform):
        """Backwards."""

        name = "reverse"
        help = "backwards"
        syntax = "reverse"
        expected = "nothing, as reverse"

        @classmethod
        def read(cls, value: str) -> "Reverse":
            if value:
                raise ValueError(f"{value!r} is too much")
            return cls()

        def apply(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            return waveform[::-1]

    try:
        made = Augmentation.of("reverse,gain:0").apply(NOISE, seed=0, utterance="a")
        np.testing.assert_array_equal(made, NOISE[::-1])
        with pytest.raises(OptionError, match=r"'3' is too much\. Expected nothing, as reverse"):
            Augmentation.of("reverse:3")
        with pytest.raises(RegistryError, match="is taken"):
            TRANSFORMS.own(TRANSFORMS["gain"])
    finally:
        del TRANSFORMS["reverse"]


def test_every_transform_says_how_it_is_typed() -> None:
    for name, kind in TRANSFORMS.items():
        assert kind.syntax.startswith(name)
        assert kind.help
        assert name in kind.expected


def test_the_identity_names_values_and_versions() -> None:
    identity = Augmentation.of("rawboost:5,codec:opus@8").identity()
    assert '"algorithm": 5' in identity
    assert '"codings": ["opus@8"]' in identity
    assert '"libsndfile"' in identity
    assert identity != Augmentation.of("codec:opus@8,rawboost:5").identity()
