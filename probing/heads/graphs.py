"""Graphs of AASIST: attention between nodes, and pools that keep some of them.

Every module is M models side by side.

A linear map from C to C' features of a pair of nodes is taken of their product, feature by feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .modules import BatchNorm, Linear


@dataclass(frozen=True)
class Nodes:
    """Nodes of graphs: values (M, B, N, C), of which utterance b has the first `counts[b]`."""

    values: Tensor
    counts: Tensor

    @property
    def valid(self) -> Tensor:
        """(1, B, N, 1) true where there is a node."""
        n = self.values.shape[2]
        return (torch.arange(n, device=self.counts.device) < self.counts[:, None])[None, :, :, None]


class GraphAttention(nn.Module):
    """Attention between the nodes of a graph: softmax of w . tanh(Linear(x_i * x_j)) / temperature
    over j.

    Linear of the weighted sum of nodes plus Linear of the node itself, BN, SELU.
    """

    def __init__(self, n: int, n_inputs: int, n_outputs: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.attend = Linear(n, n_inputs, n_outputs)
        self.attend_weight = Linear(n, n_outputs, 1, bias=False)
        self.others = Linear(n, n_inputs, n_outputs)
        self.own = Linear(n, n_inputs, n_outputs)
        self.norm = BatchNorm(n, n_outputs)

    def forward(self, nodes: Nodes) -> Nodes:
        """Nodes of C' features."""
        x = nodes.values
        energy = self.attend_weight(torch.tanh(self.attend(x[:, :, :, None] * x[:, :, None])))[
            ..., 0
        ]
        share = torch.softmax(
            energy.div(self.temperature).masked_fill(~nodes.valid.mT, -torch.inf), dim=-1
        )
        y = self.norm(self.others(share @ x) + self.own(x), nodes.valid)
        return Nodes(functional.selu(y), nodes.counts)


class PairAttention(nn.Module):
    """`GraphAttention` between the nodes of two graphs and within each, with a master node.

    Each kind of pair has weights w of its own. The master node is Linear of the sum of nodes, each
    times softmax of w . tanh(Linear(x_i * master)) / temperature, plus Linear of itself.
    """

    def __init__(self, n: int, n_inputs: int, n_outputs: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.first = Linear(n, n_inputs, n_inputs)
        self.second = Linear(n, n_inputs, n_inputs)
        self.attend = Linear(n, n_inputs, n_outputs)
        # within the first, between both, within the second
        self.attend_weights = Linear(n, n_outputs, 3, bias=False)
        self.others = Linear(n, n_inputs, n_outputs)
        self.own = Linear(n, n_inputs, n_outputs)
        self.norm = BatchNorm(n, n_outputs)
        self.master_attend = Linear(n, n_inputs, n_outputs)
        self.master_weight = Linear(n, n_outputs, 1, bias=False)
        self.master_others = Linear(n, n_inputs, n_outputs)
        self.master_own = Linear(n, n_inputs, n_outputs)

    def forward(self, first: Nodes, second: Nodes, master: Tensor) -> tuple[Nodes, Nodes, Tensor]:
        """Nodes and the master node (M, B, C'), of C' features."""
        n_first = first.values.shape[2]
        x = torch.cat([self.first(first.values), self.second(second.values)], dim=2)
        valid = torch.cat([first.valid, second.valid], dim=2)
        energies = self.attend_weights(torch.tanh(self.attend(x[:, :, :, None] * x[:, :, None])))
        graph = (torch.arange(x.shape[2], device=x.device) >= n_first).long()
        kind = (graph[:, None] + graph)[None, None, :, :, None].expand(*energies.shape[:-1], 1)
        energy = energies.gather(-1, kind)[..., 0] / self.temperature
        share = torch.softmax(energy.masked_fill(~valid.mT, -torch.inf), dim=-1)
        y = functional.selu(self.norm(self.others(share @ x) + self.own(x), valid))
        on_master = (
            self.master_weight(torch.tanh(self.master_attend(x * master[:, :, None])))
            / self.temperature
        )
        of_master = (torch.softmax(on_master.masked_fill(~valid, -torch.inf), dim=2) * x).sum(dim=2)
        master = self.master_others(of_master) + self.master_own(master)
        return (
            Nodes(y[:, :, :n_first], first.counts),
            Nodes(y[:, :, n_first:], second.counts),
            master,
        )


class GraphPool(nn.Module):
    """Keeps the half of the nodes (rounded down, at least one) of highest gate, in that order,
    times the gate.
    """

    def __init__(self, n: int, n_features: int) -> None:
        super().__init__()
        self.gate = Linear(n, n_features, 1)

    def forward(self, nodes: Nodes) -> Nodes:
        """Fewer nodes."""
        gates = torch.sigmoid(self.gate(nodes.values))
        counts = (nodes.counts // 2).clamp_min(1)
        order = (
            gates.masked_fill(~nodes.valid, -1.0).sort(dim=2, descending=True, stable=True).indices
        )
        order = order[:, :, : max(1, nodes.values.shape[2] // 2)].expand(
            -1, -1, -1, nodes.values.shape[3]
        )
        return Nodes((nodes.values * gates).gather(2, order), counts)


def nodes_mean(nodes: Nodes) -> Tensor:
    """The mean over nodes, (M, B, C)."""
    return (nodes.values * nodes.valid).sum(dim=2) / nodes.counts[None, :, None]


def nodes_max(nodes: Nodes) -> Tensor:
    """The maximum over nodes, (M, B, C)."""
    return nodes.values.masked_fill(~nodes.valid, -torch.inf).amax(dim=2)
