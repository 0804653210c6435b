"""Writes a PyTorch network with random weights, an input, its output and its gradients as one safetensors file.

    python tests/nn/oracle.py unet|transformer OUT.safetensors

Weights and inputs are float32 numbers; PyTorch computes with them in float64, so what differs is our rounding alone.
"""
import json
import os
import struct
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "bench"))
from pytorch_captions import AdaptiveNorm  # noqa: E402
from pytorch_unet import TimeEmbedding, UNet  # noqa: E402


class Block(nn.Module):
    def __init__(self, width, heads, mlp):
        super().__init__()
        self.norm0, self.norm1 = AdaptiveNorm(width), AdaptiveNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.dense0, self.dense1 = nn.Linear(width, mlp * width), nn.Linear(mlp * width, width)

    def forward(self, x, time):
        h = self.norm0(x, time)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return x + self.dense1(F.gelu(self.dense0(self.norm1(x, time))))


class Transformer(nn.Module):
    def __init__(self, cin, cout, length, classes, layers, width, heads, mlp):
        super().__init__()
        self.time = TimeEmbedding(width, classes)
        self.time.dense0, self.time.dense1 = nn.Linear(width, width), nn.Linear(width + classes, width)
        self.dense_in, self.positions = nn.Linear(cin, width), nn.Parameter(torch.zeros(length, width))
        self.block = nn.ModuleList(Block(width, heads, mlp) for _ in range(layers))
        self.norm_out, self.dense_out = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, cout)

    def forward(self, x, gamma, one_hot):
        time = self.time(gamma, one_hot)
        x = self.dense_in(x.transpose(1, 2)) + self.positions
        for block in self.block:
            x = block(x, time)
        return self.dense_out(self.norm_out(x)).transpose(1, 2)


def our_name(name):
    """nn.MultiheadAttention has names of its own."""
    return (name.replace("attention.in_proj_weight", "attention.qkv.weight")
            .replace("attention.in_proj_bias", "attention.qkv.bias").replace("attention.out_proj", "attention.out"))


def write_safetensors(path, tensors):
    header, place = {}, 0
    kinds = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64"}
    for name, t in tensors.items():
        size = t.numel() * t.element_size()
        header[name] = {"dtype": kinds[t.dtype], "shape": list(t.shape), "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            file.write(t.detach().contiguous().numpy().tobytes())


def main():
    kind, path = sys.argv[1:]
    torch.manual_seed(0)
    batch, channels, classes = 3, 5, 6
    if kind == "unet":
        net = UNet(2 * channels, channels, dim=32, mult=(1, 2, 3), blocks=2, resolution=16, attention=(8, 4),
                   classes=classes, head_dim=32)
        shape = (batch, channels, 16, 24)
    else:
        net = Transformer(2 * channels, channels, 20, classes, layers=3, width=32, heads=4, mlp=3)
        shape = (batch, channels, 20)

    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.05 * torch.randn(p.shape))
    tensors = {"weight." + our_name(name): p.detach().clone() for name, p in net.named_parameters()}
    tensors |= {"x_t": torch.randn(shape), "x0_prev": torch.randn(shape), "probe": torch.randn(shape),
                "gamma": torch.tensor([0.9999, 0.37, 1e-6], dtype=torch.float64), "label": torch.tensor([4, -1, 0])}

    net = net.double()
    x_t = tensors["x_t"].double().requires_grad_()
    one_hot = (tensors["label"][:, None] == torch.arange(classes)).double()
    y = net(torch.cat([x_t, tensors["x0_prev"].double()], 1), tensors["gamma"], one_hot)
    (y * tensors["probe"].double()).sum().backward()
    tensors |= {"gradient." + our_name(name): p.grad for name, p in net.named_parameters()}
    tensors |= {"y": y, "gradient_x_t": x_t.grad}
    write_safetensors(path, tensors)


if __name__ == "__main__":
    main()
