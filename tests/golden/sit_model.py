"""SiT in PyTorch, with the tensor names and shapes of public checkpoints: for golden values and paired benchmarks."""
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

FREQUENCIES = 256


def positions(width: int, side: int) -> np.ndarray:
    """[1, side * side, width] float32: sines then cosines of the column, then of the row."""
    rates = 10000.0 ** (-np.arange(width // 4, dtype=np.float64) / (width // 4))
    row, column = (a.reshape(-1, 1) * rates for a in np.mgrid[0:side, 0:side].astype(np.float64))
    return np.concatenate([np.sin(column), np.cos(column), np.sin(row), np.cos(row)], 1)[None].astype(np.float32)


def modulated(x, shift, scale):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]


def conditioning(width: int, parts: int) -> nn.Sequential:
    return nn.Sequential(nn.SiLU(), nn.Linear(width, parts * width))


class PatchEmbedding(nn.Module):
    def __init__(self, channels, width, patch):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class TimeEmbedding(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t):
        """t: [n], float32 or float64: the angles are not computed in bf16."""
        half = FREQUENCIES // 2
        angle = t[:, None] * torch.exp(-math.log(10000) / half * torch.arange(half, dtype=t.dtype))
        return self.mlp(torch.cat([angle.cos(), angle.sin()], 1).to(self.mlp[0].weight.dtype))


class LabelEmbedding(nn.Module):
    def __init__(self, classes, width):
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)

    def forward(self, y):
        return self.embedding_table(y)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attn, self.mlp, self.adaLN_modulation = Attention(width, heads), Mlp(width), conditioning(width, 6)

    def forward(self, x, c):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).chunk(6, 1)
        x = x + gate1[:, None] * self.attn(modulated(x, shift1, scale1))
        return x + gate2[:, None] * self.mlp(modulated(x, shift2, scale2))


class FinalLayer(nn.Module):
    def __init__(self, width, out):
        super().__init__()
        self.linear, self.adaLN_modulation = nn.Linear(width, out), conditioning(width, 2)

    def forward(self, x, c):
        return self.linear(modulated(x, *self.adaLN_modulation(c).chunk(2, 1)))


class SiT(nn.Module):
    def __init__(self, width, depth, heads, patch, size, channels, classes, learn_sigma=0):
        super().__init__()
        self.patch, self.side = patch, size // patch
        self.x_embedder = PatchEmbedding(channels, width, patch)
        self.t_embedder, self.y_embedder = TimeEmbedding(width), LabelEmbedding(classes, width)
        self.pos_embed = nn.Parameter(torch.from_numpy(positions(width, self.side)), requires_grad=False)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.final_layer = FinalLayer(width, patch * patch * channels * (2 if learn_sigma else 1))

    def forward(self, x, t, y):
        """x: [n, channels, size, size], t: [n], y: [n] labels, `classes` for none. Result: all channels, those of the
        learned sigma last."""
        c = self.t_embedder(t) + self.y_embedder(y)
        x = self.x_embedder(x) + self.pos_embed
        for block in self.blocks:
            x = block(x, c)
        x = self.final_layer(x, c).unflatten(2, (self.patch, self.patch, -1)).unflatten(1, (self.side, self.side))
        return x.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)
