"""Times one Bit Diffusion training step or sampling step of a network in plain PyTorch.

    python bench/pytorch_bench.py train|sample|ceilings [--captions] [--dim 64 --mult 1,2,2 --batch 16] [--compile] [--bf16]

Prints one JSON line: the median seconds and the FLOP of one call, the memory before the network was made and at most; or
the FLOP/s of the best 3x3 convolution and of the best matrix product (the two ceilings). A training step is Algorithm 1:
noise the batch, estimate x0 for half of it without gradient, predict, L2, backward, fused Adam, EMA.
"""
import argparse
import json
import resource
import statistics
import time

import torch
import torch._dynamo  # noqa: F401  Adam imports it late: 100 MB that are not the network's.
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from pytorch_captions import Transformer
from pytorch_unet import UNet

CONTEXT = 196


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


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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


def flops_of(net, shape, context):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 2 * shape[1], *shape[2:]), torch.zeros(1), *(c[:1] for c in context))
    return shape[0] * counter.get_total_flops()


def train_step(a, net, f, shape, context, amp):
    opt = torch.optim.Adam(net.parameters(), 1e-4, fused=True)
    ema = [q.detach().clone() for q in net.parameters()]
    half, each = a.batch // 2, (a.batch,) + (1,) * (len(shape) - 1)

    def step():
        x = torch.randint(0, 2, shape, device=a.device).float() * 2 - 1
        gamma = torch.cos(torch.rand(a.batch, device=a.device) * torch.pi / 2) ** 2
        g = gamma.view(each)
        xt = g.sqrt() * x + (1 - g).sqrt() * torch.randn(shape, device=a.device)
        estimate = torch.zeros_like(x)
        with amp:
            with torch.no_grad():
                first = f(torch.cat([xt[:half], estimate[:half]], 1), gamma[:half], *(c[:half] for c in context))
                estimate[:half] = first.float().clamp(-1, 1)
            out = f(torch.cat([xt, estimate], 1), gamma, *context).float()
        opt.zero_grad(set_to_none=True)
        F.mse_loss(out, x).backward()
        opt.step()
        torch._foreach_lerp_(ema, list(net.parameters()), 1e-4)

    return step


def sample_step(a, f, shape, context, amp):
    state = [torch.randn(shape, device=a.device), torch.zeros(shape, device=a.device)]
    gamma = torch.full((a.batch,), 0.5, device=a.device)

    def step():
        with torch.no_grad(), amp:
            state[1] = f(torch.cat(state, 1), gamma, *context).float().clamp(-1, 1)

    return step


def options():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=("train", "sample", "ceilings"))
    p.add_argument("--captions", action="store_true", help="the caption decoder, not the U-Net")
    p.add_argument("--dim", type=int, default=64)
    p.add_argument("--mult", default="1,2,2")
    p.add_argument("--resolution", type=int, default=32)
    p.add_argument("--length", type=int, default=64, help="tokens of a caption")
    p.add_argument("--layers", type=int, default=6)
    p.add_argument("--width", type=int, default=512)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--runs", type=int, default=7)
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    p.add_argument("--compile", action="store_true")
    p.add_argument("--bf16", action="store_true")
    return p.parse_args()


def main():
    a = options()
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    if a.what == "ceilings":
        matmul, conv = ceilings(a.device, torch.bfloat16 if a.bf16 else torch.float32)
        name = torch.cuda.get_device_name() if a.device == "cuda" else ""
        print(json.dumps({"torch": torch.__version__, "device": name, "matmul": matmul, "conv": conv}))
        return
    before = peak_mb()
    if a.captions:
        net, shape = Transformer(15, a.length, a.layers, a.width), (a.batch, 15, a.length)
        context = [torch.randn(a.batch, CONTEXT, a.width)]
    else:
        mult = tuple(int(m) for m in a.mult.split(","))
        net = UNet(cin=48, cout=24, dim=a.dim, mult=mult, resolution=a.resolution)
        shape, context = (a.batch, 24, a.resolution, a.resolution), []
    flops = flops_of(net, shape, context)
    net, context = net.to(a.device), [c.to(a.device) for c in context]
    if a.device == "cuda" and not a.captions:
        net = net.to(memory_format=torch.channels_last)  # Tensor cores read it as it is.
    f = torch.compile(net) if a.compile else net
    amp = torch.autocast(a.device, torch.bfloat16, enabled=a.bf16)
    train = a.what == "train"
    step = train_step(a, net, f, shape, context, amp) if train else sample_step(a, f, shape, context, amp)
    print(json.dumps({
        "torch": torch.__version__, "threads": torch.get_num_threads(), "parameters": sum(q.numel() for q in net.parameters()),
        "seconds": median_seconds(step, a.runs, a.device), "flop": flops * (3.5 if train else 1), "before_mb": before,
        "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
