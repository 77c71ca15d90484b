"""Published equal error rates of layers of speech models, trained on ASVspoof 2019 LA."""

from dataclasses import dataclass

ATTM_PAPER = "Pan et al., arXiv 2406.10283, Interspeech 2024"
LAYERWISE_PAPER = "arXiv 2502.03559, Findings of NAACL 2025"


@dataclass(frozen=True)
class Published:
    """EER (%) of one system on eval of 2019 LA, 2021 LA and 2021 DF.

    source: the paper.
    system: head and training.
    backbone: as `published_name` gives it.
    depth: layers used.

    >>> PUBLISHED[0].rates[0] > 0
    True
    """

    source: str
    system: str
    backbone: str
    depth: int
    rates: tuple[float, float, float]


def _by_depth(
    backbone: str, depths: tuple[int, ...], *rates: tuple[float, float, float]
) -> list[Published]:
    system = "weighted sum, frozen"
    return [
        Published(LAYERWISE_PAPER, system, backbone=backbone, depth=k, rates=of)
        for k, of in zip(depths, rates, strict=True)
    ]


ATTM = Published(
    ATTM_PAPER,
    "attentive merge, fine-tuned",
    backbone="WavLM-Large",
    depth=12,
    rates=(0.65, 3.50, 3.19),
)
_LARGE = (4, 6, 8, 10, 12, 24)
_BASE = (2, 4, 6, 12)
PUBLISHED = (
    ATTM,
    *_by_depth(
        "WavLM-Large",
        _LARGE,
        (0.44, 12.40, 12.27),
        (0.19, 10.34, 8.69),
        (0.19, 9.57, 6.09),
        (0.22, 7.25, 5.24),
        (0.20, 5.70, 4.47),
        (0.28, 4.81, 5.12),
    ),
    *_by_depth(
        "XLS-R-300M",
        _LARGE,
        (0.37, 19.77, 14.45),
        (0.18, 13.35, 7.74),
        (0.15, 9.82, 5.85),
        (0.17, 6.43, 5.27),
        (0.21, 5.96, 4.20),
        (0.21, 4.63, 4.14),
    ),
    *_by_depth(
        "HuBERT-Large",
        _LARGE,
        (1.32, 13.17, 15.97),
        (0.43, 8.82, 12.36),
        (0.33, 8.00, 9.32),
        (0.23, 8.30, 7.83),
        (0.30, 4.95, 8.29),
        (0.38, 6.97, 6.24),
    ),
    *_by_depth(
        "WavLM-Base+",
        _BASE,
        (0.98, 11.70, 13.30),
        (0.60, 6.78, 9.40),
        (0.44, 6.92, 9.39),
        (0.63, 6.61, 11.01),
    ),
    *_by_depth(
        "wav2vec2-Base",
        _BASE,
        (0.63, 6.31, 15.09),
        (0.58, 7.08, 12.10),
        (0.48, 5.53, 14.02),
        (0.68, 6.33, 15.58),
    ),
)
# of the weights, on 2019 LA
PEAKS = {"WavLM-Large": 6, "WavLM-Base+": 3, "XLS-R-300M": 5, "HuBERT-Large": 7}

_NAMES = {
    "wavlm-large": "WavLM-Large",
    "wavlm-base-plus": "WavLM-Base+",
    "wav2vec2-xls-r-300m": "XLS-R-300M",
    "hubert-large-ll60k": "HuBERT-Large",
    "wav2vec2-base": "wav2vec2-Base",
}


def published_name(backbone: str) -> str | None:
    """What the papers call a backbone, from its hub id or the folder of its snapshot.

    None if they have no figures of it.
    """
    return _NAMES.get(backbone.rstrip("/").rsplit("/", 1)[-1].lower())
