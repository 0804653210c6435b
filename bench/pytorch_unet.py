"""The paper's U-Net in plain PyTorch: what a user would write, our yardstick for speed and the oracle of our tests.

Pre-activation residual blocks with scale and shift from the time, residuals and attention outputs divided by sqrt(2),
self-attention after every block at the listed resolutions, skips pushed before attention, no middle block. Tensors are
NCHW. The names in state_dict() are those of bitdiff/nn/unet.cpp.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def scaled_sum(a, b):
    return (a + b) / math.sqrt(2.0)


def group_norm(channels):
    return nn.GroupNorm(min(channels // 4, 32), channels, eps=1e-5)


class TimeEmbedding(nn.Module):
    def __init__(self, dim, classes=0, scaling=1000.0):
        super().__init__()
        self.dim, self.scaling = dim, scaling
        self.dense0 = nn.Linear(dim, 4 * dim)
        self.dense1 = nn.Linear(4 * dim + classes, 4 * dim)

    def forward(self, gamma, one_hot=None):
        half = self.dim // 2
        freq = torch.exp(-math.log(1e4) * torch.arange(half, device=gamma.device, dtype=gamma.dtype) / half)
        angle = gamma[:, None] * self.scaling * freq
        h = F.silu(self.dense0(torch.cat([angle.sin(), angle.cos()], -1)))
        if one_hot is not None:
            h = torch.cat([h, one_hot], -1)
        return F.silu(self.dense1(h))


class ResBlock(nn.Module):
    def __init__(self, cin, cout, time, dropout=0.0):
        super().__init__()
        self.skip = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()
        self.scale_shift = nn.Linear(time, 2 * cout)
        self.norm0, self.conv0 = group_norm(cin), nn.Conv2d(cin, cout, 3, padding=1)
        self.norm1, self.conv1 = group_norm(cout), nn.Conv2d(cout, cout, 3, padding=1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, time):
        scale, shift = self.scale_shift(time)[:, :, None, None].chunk(2, 1)
        h = self.conv0(F.silu(self.norm0(x)))
        h = F.silu(self.norm1(h) * (1 + scale) + shift)
        return scaled_sum(self.conv1(self.dropout(h)), self.skip(x))


class Attention(nn.Module):
    def __init__(self, channels, head_dim=64):
        super().__init__()
        self.norm = nn.GroupNorm(32 if channels % 32 == 0 else channels // 4, channels, eps=1e-5)
        self.heads = max(channels // head_dim, 1)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x):
        b, c, h, w = x.shape
        y = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(y).view(b, h * w, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, h * w, c)
        return scaled_sum(x, self.out(y).transpose(1, 2).reshape(b, c, h, w))


class Stage(nn.Module):
    """The blocks of one resolution; the convolution that leads to the next is set by the U-Net."""

    def __init__(self, cins, cout, time, attention, head_dim, dropout):
        super().__init__()
        self.block = nn.ModuleList(ResBlock(cin, cout, time, dropout) for cin in cins)
        self.attention = nn.ModuleList(Attention(cout, head_dim) if attention else nn.Identity() for _ in cins)
        self.shrink = self.grow = None


class UNet(nn.Module):
    """cin: channels of concat[x_t, x0_prev]; cout: analog-bit channels."""

    def __init__(self, cin=48, cout=24, dim=256, mult=(1, 1, 1), blocks=3, resolution=32, attention=(16, 8), classes=0,
                 head_dim=64, dropout=0.0):
        super().__init__()
        time = 4 * dim
        self.time = TimeEmbedding(dim, classes)
        self.conv_in, self.norm_in = nn.Conv2d(cin, dim * mult[0], 3, padding=1), group_norm(dim * mult[0])
        c, r, skips = dim * mult[0], resolution, [dim * mult[0]]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, m in enumerate(mult):
            stage = Stage([c] + [dim * m] * (blocks - 1), dim * m, time, r in attention, head_dim, dropout)
            c = dim * m
            skips += [c] * blocks
            if i + 1 < len(mult):
                stage.shrink = nn.Conv2d(c, c, 3, stride=2)
                skips.append(c)
                r //= 2
            self.down.append(stage)
        for i in reversed(range(len(mult))):
            cins = [(c if j == 0 else dim * mult[i]) + skips.pop() for j in range(blocks + 1)]
            c = dim * mult[i]
            stage = Stage(cins, c, time, r in attention, head_dim, dropout)
            if i:
                stage.grow = nn.Conv2d(c, c, 3, padding=1)
                r *= 2
            self.up.append(stage)
        self.norm_out, self.conv_out = group_norm(c), nn.Conv2d(c, cout, 3, padding=1)

    def forward(self, x, gamma, one_hot=None):
        time = self.time(gamma, one_hot)
        x = self.norm_in(self.conv_in(x))
        skips = [x]
        for stage in self.down:
            for block, attend in zip(stage.block, stage.attention):
                x = block(x, time)
                skips.append(x)
                x = attend(x)
            if stage.shrink is not None:
                x = stage.shrink(F.pad(x, (0, 1, 0, 1)))
                skips.append(x)
        for stage in self.up:
            for block, attend in zip(stage.block, stage.attention):
                x = attend(block(torch.cat([x, skips.pop()], 1), time))
            if stage.grow is not None:
                x = stage.grow(F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.conv_out(F.silu(self.norm_out(x)))
