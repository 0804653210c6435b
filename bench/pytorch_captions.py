"""The paper's caption decoder in plain PyTorch: what a user would write, our yardstick for speed.

A bidirectional pre-norm Transformer of bits with learned positions and adaptive layer norm by the time, which looks at the
vectors of an image. The sizes, and so the number of parameters, are those of bitdiff/nn/transformer.cpp.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

from pytorch_unet import TimeEmbedding


class AdaptiveNorm(nn.LayerNorm):
    def __init__(self, width):
        super().__init__(width, eps=1e-6)
        self.scale_shift = nn.Linear(width, 2 * width)

    def forward(self, x, time):
        scale, shift = self.scale_shift(time)[:, None].chunk(2, -1)
        return super().forward(x) * (1 + scale) + shift


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key_value, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x, context):
        split = lambda y, parts: y.view(y.shape[0], y.shape[1], parts, self.heads, -1).permute(2, 0, 3, 1, 4)
        (q,), (k, v) = split(self.query(x), 1), split(self.key_value(context), 2)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, width, heads, mlp=4):
        super().__init__()
        self.norm0, self.norm_cross, self.norm1 = (AdaptiveNorm(width) for _ in range(3))
        self.attention, self.cross = Attention(width, heads), Attention(width, heads)
        self.dense0, self.dense1 = nn.Linear(width, mlp * width), nn.Linear(mlp * width, width)

    def forward(self, x, time, context):
        h = self.norm0(x, time)
        x = x + self.attention(h, h)
        x = x + self.cross(self.norm_cross(x, time), context)
        return x + self.dense1(F.gelu(self.dense0(self.norm1(x, time))))


class Transformer(nn.Module):
    def __init__(self, bits, length, layers=6, width=512, heads=8):
        super().__init__()
        self.time = TimeEmbedding(width)
        self.time.dense0, self.time.dense1 = nn.Linear(width, width), nn.Linear(width, width)
        self.dense_in, self.positions = nn.Linear(2 * bits, width), nn.Parameter(torch.zeros(length, width))
        self.block = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm_out, self.dense_out = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, bits)

    def forward(self, x, gamma, context):
        time = self.time(gamma)
        x = self.dense_in(x.transpose(1, 2)) + self.positions
        for block in self.block:
            x = block(x, time, context)
        return self.dense_out(self.norm_out(x)).transpose(1, 2)
