"""Trains the plain PyTorch U-Net (pytorch_unet.py) on the emoji for a given time and draws samples: what the demo is beside.

    python bench/pytorch_emoji.py OUT.png [--seconds 270] [--num 64]

Bit Diffusion as written in the paper: binary bits, L2 on x0, cosine schedule, self-conditioning, EMA, Adam, batch 64,
constant learning rate 2e-3, 50 DDIM steps. OUT is a sheet (.png) or an .npz with arr_0, as `bitdiff sample` writes them.
"""
import argparse
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F

from pytorch_unet import UNet

EMOJI = pathlib.Path(__file__).resolve().parent.parent / "data/emoji/emoji16.npz"
BITS, BATCH, DDIM_STEPS = 5, 64, 50


def alphas(gamma):
    return gamma.sqrt().view(-1, 1, 1, 1), (1 - gamma).sqrt().view(-1, 1, 1, 1)


def cosine(t):
    return torch.cos((t + 2.5e-4) / (1 + 2.5e-4 * 2) * torch.pi / 2) ** 2


def loss_of(net, x0):
    gamma = cosine(torch.rand(len(x0)))
    signal, noise = alphas(gamma)
    x_t = signal * x0 + noise * torch.randn_like(x0)
    estimate, half = torch.zeros_like(x0), len(x0) // 2
    with torch.no_grad():
        estimate[:half] = net(torch.cat([x_t[:half], estimate[:half]], 1), gamma[:half]).clamp(-1, 1)
    return F.mse_loss(net(torch.cat([x_t, estimate], 1), gamma), x0)


@torch.no_grad()
def ddim(net, num):
    x_t, x0 = torch.randn(num, BITS, 16, 16), torch.zeros(num, BITS, 16, 16)
    times = torch.linspace(1, 0, DDIM_STEPS + 1)
    for now, after in zip(times[:-1], times[1:]):
        gamma = cosine(now.expand(num))
        signal, noise = alphas(gamma)
        x0 = net(torch.cat([x_t, x0], 1), gamma).clamp(-1, 1)
        eps = (x_t - signal * x0) / noise
        signal, noise = alphas(cosine(after.expand(num)))
        x_t = signal * x0 + noise * eps
    return x0


def write(path, samples):
    """samples: integers [N, 16, 16]."""
    if path.endswith(".npz"):
        np.savez(path, arr_0=samples[:, None])
        return
    from PIL import Image
    tiles = np.load(EMOJI)["palette"][samples].repeat(4, 1).repeat(4, 2)
    tiles = np.pad(tiles, ((0, -len(tiles) % 8), (2, 0), (2, 0), (0, 0)), constant_values=255)
    height, width = tiles.shape[1:3]
    Image.fromarray(tiles.reshape(-1, 8, height, width, 3).swapaxes(1, 2).reshape(-1, 8 * width, 3)).save(path)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out")
    p.add_argument("--seconds", type=float, default=270)
    p.add_argument("--num", type=int, default=64)
    a = p.parse_args()
    torch.manual_seed(0)
    images = torch.from_numpy(np.load(EMOJI)["images"].astype(np.int64))
    powers = torch.arange(BITS)
    net = UNet(cin=2 * BITS, cout=BITS, dim=32, mult=(1, 2), blocks=2, resolution=16, attention=(8,))
    opt = torch.optim.Adam(net.parameters(), 2e-3, fused=True)
    ema = [q.detach().clone() for q in net.parameters()]
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < a.seconds:
        batch = images[torch.randint(len(images), (BATCH,))]
        batch = torch.where(torch.rand(BATCH, 1, 1) < 0.5, batch.flip(2), batch)
        x0 = ((batch[:, None] >> powers[:, None, None]) & 1).float() * 2 - 1
        loss = loss_of(net, x0)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        torch._foreach_lerp_(ema, list(net.parameters()), 0.01)
        steps += 1
    print(f"{steps} steps, {steps * BATCH / a.seconds:.0f} images/s, loss {loss.item():.3f}")
    with torch.no_grad():
        for q, averaged in zip(net.parameters(), ema):
            q.copy_(averaged)
    bits = (ddim(net, a.num) > 0).long()
    write(a.out, (bits << powers[:, None, None]).sum(1).to(torch.uint8).numpy())


if __name__ == "__main__":
    main()
