"""Times one Bit Diffusion training step and one sampling step of the PyTorch U-Net (pytorch_unet.py).

    python bench/pytorch_bench.py --dim 64 --mult 1,2,2 --batch 16 [--device cuda] [--compile] [--bf16] [--channels-last]

Prints one JSON line: seconds (median) and images/s for both, FLOP/s reached, and the FLOP/s of the best 3x3 convolution
and the best matrix product measured in the same run (the two ceilings). A training step is Algorithm 1: noise the batch,
estimate x0 for half of it without gradient, predict, L2, backward, fused Adam, EMA.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

from pytorch_unet import UNet


def median_seconds(fn, runs, device):
    times = []
    for i in range(runs + 2):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        fn()
        if device == "cuda":
            torch.cuda.synchronize()
        if i >= 2:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def ceilings(device, dtype):
    n = 8192 if device == "cuda" else 2048
    a, b = torch.randn(n, n, device=device, dtype=dtype), torch.randn(n, n, device=device, dtype=dtype)
    matmul = 2 * n**3 / median_seconds(lambda: a @ b, 7, device)
    best = 0.0
    for c, r, batch in ((64, 32, 16), (128, 16, 32), (256, 32, 16), (256, 16, 64), (256, 8, 64)):
        batch *= 32 if device == "cuda" else 1
        x = torch.randn(batch, c, r, r, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        w = torch.randn(c, c, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            t = median_seconds(lambda: F.conv2d(x, w, padding=1), 7, device)
        best = max(best, 2 * batch * c * c * 9 * r * r / t)
    return matmul, best


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--dim", type=int, default=64)
    p.add_argument("--mult", default="1,2,2")
    p.add_argument("--resolution", type=int, default=32)
    p.add_argument("--bits", type=int, default=24, help="analog-bit channels")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--runs", type=int, default=7)
    p.add_argument("--device", default="cpu")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--bf16", action="store_true")
    p.add_argument("--channels-last", action="store_true")
    p.add_argument("--no-ceilings", action="store_true", help="leave out the two ceilings")
    a = p.parse_args()
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    mult = tuple(int(m) for m in a.mult.split(","))
    net = UNet(cin=2 * a.bits, cout=a.bits, dim=a.dim, mult=mult, resolution=a.resolution).to(a.device)
    from torch.utils.flop_counter import FlopCounterMode
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.randn(1, 2 * a.bits, a.resolution, a.resolution, device=a.device), torch.rand(1, device=a.device))
    forward_flops = counter.get_total_flops()
    if a.channels_last:
        net = net.to(memory_format=torch.channels_last)
    opt = torch.optim.Adam(net.parameters(), 1e-4, fused=True)
    ema = [q.detach().clone() for q in net.parameters()]
    f = torch.compile(net) if a.compile else net
    shape = (a.batch, a.bits, a.resolution, a.resolution)
    amp = torch.autocast(a.device, torch.bfloat16, enabled=a.bf16)

    def train_step():
        x = torch.randint(0, 2, shape, device=a.device).float() * 2 - 1
        gamma = torch.cos(torch.rand(a.batch, device=a.device) * torch.pi / 2) ** 2
        g = gamma[:, None, None, None]
        xt = g.sqrt() * x + (1 - g).sqrt() * torch.randn(shape, device=a.device)
        estimate, half = torch.zeros_like(x), a.batch // 2
        with amp:
            with torch.no_grad():
                estimate[:half] = f(torch.cat([xt[:half], estimate[:half]], 1), gamma[:half]).float().clamp(-1, 1)
            out = f(torch.cat([xt, estimate], 1), gamma).float()
        opt.zero_grad(set_to_none=True)
        F.mse_loss(out, x).backward()
        opt.step()
        torch._foreach_lerp_(ema, list(net.parameters()), 1e-4)

    state = [torch.randn(shape, device=a.device), torch.zeros(shape, device=a.device)]

    def sample_step():
        gamma = torch.full((a.batch,), 0.5, device=a.device)
        with torch.no_grad(), amp:
            state[1] = f(torch.cat(state, 1), gamma).float().clamp(-1, 1)

    sample = median_seconds(sample_step, a.runs, a.device)
    train = median_seconds(train_step, a.runs, a.device)
    matmul, conv = (0, 0) if a.no_ceilings else ceilings(a.device, torch.bfloat16 if a.bf16 else torch.float32)
    flops = a.batch * forward_flops
    print(json.dumps({
        "config": vars(a), "torch": torch.__version__, "threads": torch.get_num_threads(),
        "parameters": sum(q.numel() for q in net.parameters()),
        "forward_gflop_per_image": forward_flops / 1e9,
        "train_seconds": train, "train_images_per_s": a.batch / train, "train_gflops": 3.5 * flops / train / 1e9,
        "sample_step_seconds": sample, "sample_images_steps_per_s": a.batch / sample,
        "sample_gflops": flops / sample / 1e9,
        "ceiling_matmul_gflops": matmul / 1e9, "ceiling_conv_gflops": conv / 1e9}))


if __name__ == "__main__":
    main()
