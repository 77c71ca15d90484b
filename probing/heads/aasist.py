"""AASIST on a stream of features: a back-end; see `backends`. Its graphs are in `graphs`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .backends import BackEnd
from .graphs import GraphAttention, GraphPool, Nodes, PairAttention, nodes_max, nodes_mean
from .merges import Merge, draw
from .modules import BatchNorm, Convolution, start_all

WIDTH = 128
POOL = 3
N_BANDS = WIDTH // POOL
FILTERS = ((1, 32), (32, 32), (32, 64), (64, 64), (64, 64), (64, 64))
NODE = 64
HIDDEN = 32
GRAPH_TEMPERATURE = 2.0
PAIR_TEMPERATURE = 100.0


class AASIST(BackEnd):
    """AASIST (Jung et al., ICASSP 2022) on features of a speech model (Tak et al., Odyssey 2022).

    Linear to 128, max-pool 3 x 3, 6 residual blocks, attention over time and over bands into one
    graph of bands and one of times, two branches of attention over both with a master node each,
    their maximum, and of the two graphs maximum and mean, and the master node -> Linear to two
    logits. What is published as a regulariser, dropout, is left out; so is the batch norm that the
    released code computes at the start of a residual block and does not use.

    Of an utterance of T frames there are floor(T / 3) times, and one of fewer than three.
    """

    def __init__(self, n: int, dim: int, frames: bool = True, outputs: int | None = None) -> None:
        super().__init__(n, dim, frames, outputs)
        self.project = nn.Parameter(torch.zeros(n, dim, WIDTH))
        self.project_bias = nn.Parameter(torch.zeros(n, WIDTH))
        self.first_norm = BatchNorm(n, 1)
        self.blocks = nn.ModuleList([ResidualBlock(n, *sizes) for sizes in FILTERS])
        self.last_norm = BatchNorm(n, NODE)
        self.attention = nn.ModuleList(
            [Convolution(n, NODE, WIDTH, (1, 1)), Convolution(n, WIDTH, NODE, (1, 1))]
        )
        self.attention_norm = BatchNorm(n, WIDTH)
        self.positions = nn.Parameter(torch.zeros(n, N_BANDS, NODE))
        self.bands = GraphAttention(n, NODE, NODE, GRAPH_TEMPERATURE)
        self.times = GraphAttention(n, NODE, NODE, GRAPH_TEMPERATURE)
        self.pool_bands = GraphPool(n, NODE)
        self.pool_times = GraphPool(n, NODE)
        self.branches = nn.ModuleList([Branch(n), Branch(n)])
        self.weight = nn.Parameter(torch.zeros(n, 5 * HIDDEN, outputs or 2))
        self.bias = nn.Parameter(torch.zeros(n, outputs or 2))
        self.values_per_vector = 2 * dim + 80_000

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """As PyTorch's nn.Linear in variance; positions and master nodes from N(0, 1)."""
        start_all(self, generators)
        draw(self.positions, generators, 1.0)
        for parameter in (self.project, self.weight):
            draw(parameter, generators, (3 * parameter.shape[1]) ** -0.5)

    def forward(self, merge: Merge, x: Tensor, mask: Tensor | None) -> Tensor:
        """See `BackEnd.forward`; frames after the end of an utterance change nothing."""
        maps, counts = self._maps(
            merge(x, mask, self.project) + self.project_bias[:, None, None], mask
        )
        valid = torch.arange(maps.shape[-1], device=maps.device) < counts[:, None]
        on_map = valid[:, None, None, None]
        maps = functional.selu(self.first_norm(maps, on_map, 1, 2)) * on_map
        for block in self.blocks:
            maps = block(maps, on_map)
        maps = functional.selu(self.last_norm(maps, on_map, 1, 2))
        inner = self.attention_norm(functional.selu(self.attention[0](maps)), on_map, 1, 2)
        energy = self.attention[1](inner)
        over_times = torch.softmax(energy.masked_fill(~on_map, -torch.inf), dim=-1)
        at_bands = (maps * over_times).sum(dim=-1).permute(1, 0, 3, 2) + self.positions[:, None]
        at_times = (maps * torch.softmax(energy, dim=-2)).sum(dim=-2).permute(1, 0, 3, 2)
        of_bands = self.pool_bands(self.bands(Nodes(at_bands, torch.full_like(counts, N_BANDS))))
        of_times = self.pool_times(self.times(Nodes(at_times, counts)))
        (times, bands, master), (more_times, more_bands, more_master) = (
            branch(of_times, of_bands) for branch in self.branches
        )
        found = []
        for one, other in ((times, more_times), (bands, more_bands)):
            nodes = Nodes(torch.maximum(one.values, other.values), one.counts)
            found += [nodes_max(Nodes(nodes.values.abs(), nodes.counts)), nodes_mean(nodes)]
        found.append(torch.maximum(master, more_master))
        return torch.baddbmm(self.bias[:, None], torch.cat(found, dim=-1), self.weight)

    def _maps(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Pooled maps (B, M, 1, bands, times) of frames (M, B, T, 128), and how many times are
        valid (B,).
        """
        n_frames = y.shape[2]
        if mask is None:
            lengths = torch.full((y.shape[1],), n_frames, device=y.device)
        else:
            lengths = mask.sum(dim=1)
            y = y.masked_fill(~mask[None, :, :, None], -torch.inf)
        if n_frames < POOL:
            y = functional.pad(y, (0, 0, 0, POOL - n_frames), value=-torch.inf)
        maps = functional.max_pool2d(y.permute(1, 0, 3, 2), POOL)[:, :, None]
        counts = (lengths // POOL).clamp_min(1)
        valid = torch.arange(maps.shape[-1], device=y.device) < counts[:, None]
        return maps.masked_fill(~valid[:, None, None, None], 0.0), counts


class ResidualBlock(nn.Module):
    """Convolution 2 x 3, BN, SELU, convolution 2 x 3, plus what comes in, convolved where the
    filters differ.
    """

    def __init__(self, n: int, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.first = Convolution(n, n_inputs, n_outputs=n_outputs, kernel=(2, 3), padding=(1, 1))
        self.norm = BatchNorm(n, n_outputs)
        self.second = Convolution(n, n_outputs, n_outputs=n_outputs, kernel=(2, 3), padding=(0, 1))
        self.across = (
            Convolution(n, n_inputs, n_outputs=n_outputs, kernel=(1, 3), padding=(0, 1))
            if n_inputs != n_outputs
            else None
        )

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Apply to maps (B, M, I, bands, times), 0 after the end as they come and as they go."""
        y = functional.selu(self.norm(self.first(x), valid, 1, 2)) * valid
        y = self.second(y) + (x if self.across is None else self.across(x))
        return y * valid


class Branch(nn.Module):
    """Attention over times, bands and a master node, pools, and the same attention again, added."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.master = nn.Parameter(torch.zeros(n, NODE))
        self.first = PairAttention(n, NODE, HIDDEN, PAIR_TEMPERATURE)
        self.second = PairAttention(n, HIDDEN, HIDDEN, PAIR_TEMPERATURE)
        self.pool_bands = GraphPool(n, HIDDEN)
        self.pool_times = GraphPool(n, HIDDEN)

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """The master node from N(0, 1)."""
        draw(self.master, generators, 1.0)

    def forward(self, times: Nodes, bands: Nodes) -> tuple[Nodes, Nodes, Tensor]:
        """Times, bands and the master node (M, B, 32)."""
        master = self.master[:, None].expand(-1, len(times.counts), -1)
        times, bands, master = self.first(times, bands, master)
        times, bands = self.pool_times(times), self.pool_bands(bands)
        more_times, more_bands, more_master = self.second(times, bands, master)
        times = Nodes(times.values + more_times.values, times.counts)
        bands = Nodes(bands.values + more_bands.values, bands.counts)
        return times, bands, master + more_master
