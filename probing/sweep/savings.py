"""What a truncated backbone saves: parameters, multiply-accumulates and latency by depth."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from cache import Cache, ProbeError


def depth_costs(cache: Cache, device: str, say: Callable[[str], None]) -> pd.DataFrame | None:
    """Costs by depth of the backbone that made a cache, see `probing.backbones.costs.costs`.

    None, with a remark, where the backbone cannot be loaded here or is no longer the one that made
    the cache; a sweep needs nothing but the cache.
    """
    from probing.backbones.costs import costs
    from probing.extraction.options import Options

    if "options" not in cache.about:
        return None
    try:
        backbone = Options(**cache.about["options"]).load_backbone(device, fetch=False)
        if backbone.fingerprint()["weights_sha256"] != cache.fingerprint["backbone_weights_sha256"]:
            raise ProbeError("its weights are not those that made the cache")
        return costs(backbone)
    except ProbeError as error:
        say(f"Compute by depth not measured: {error}")
        return None


def saved_shares(costs: pd.DataFrame) -> dict[int, float]:
    """Depth -> share of the multiply-accumulates of the whole backbone that it saves."""
    macs = costs.set_index("depth")["macs"]
    return {int(depth): float(1 - macs[depth] / macs.iloc[-1]) for depth in macs.index}
