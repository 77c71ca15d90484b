"""The transforms by name; to add one, see README.md beside this file."""

from probing.augmentation.codecs import Codec
from probing.augmentation.levels import Clip, Gain
from probing.augmentation.noise import Noise
from probing.augmentation.rates import Crop, Resample, Speed
from probing.augmentation.rawboost import RawBoost
from probing.augmentation.reverberation import Reverb
from probing.augmentation.transform import Transforms

TRANSFORMS = Transforms(
    "transform", RawBoost, Noise, Reverb, Codec, Speed, Resample, Gain, Clip, Crop
)


def transforms_help() -> str:
    """What a command line says of transforms.

    >>> "noise" in transforms_help()
    True
    """
    return ", ".join(f"{kind.syntax} ({kind.help})" for kind in TRANSFORMS.values())
