"""Transforms of waveforms, seeded by utterance and epoch, for training and for views of caches."""

from probing.augmentation.augmentation import Augmentation, crop
from probing.augmentation.kinds import TRANSFORMS, transforms_help
from probing.augmentation.rates import PUBLISHED_SAMPLES
from probing.augmentation.transform import Range, Transform, TransformError
from probing.augmentation.view import View, heard_as, name_of_view

__all__ = [
    "PUBLISHED_SAMPLES",
    "TRANSFORMS",
    "Augmentation",
    "Range",
    "Transform",
    "TransformError",
    "View",
    "crop",
    "heard_as",
    "name_of_view",
    "transforms_help",
]
