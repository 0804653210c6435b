#!/usr/bin/env python3
"""Draws two figures of the paper that need no training.

    scripts/setup.sh plot
    ~/.cache/bitdiff/python-plot/bin/python scripts/plot_codes.py OUT

OUT/hamming.png (Fig. 8): how far apart two bytes are against in how many bits their codes differ, and the correlation.
OUT/toy-bit.png (Fig. 9): one bit, with the best denoiser there is: DDIM cuts the prior in two, in the bit's proportions.
"""
import argparse
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


def shuffled():
    """The table of UINT8(RAND)."""
    table = np.arange(256)
    np.random.RandomState(42).shuffle(table)
    return table


def draw_hamming(path):
    numbers = np.arange(256)
    codes = {"uint8": numbers, "gray": numbers ^ (numbers >> 1), "rand": shuffled()}
    first, second = np.triu_indices(256, 1)
    apart = second - first
    figure, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
    for ax, (name, code) in zip(axes, codes.items()):
        differ = code[first] ^ code[second]
        bits = sum((differ >> i) & 1 for i in range(8))
        correlation = np.corrcoef(apart, bits)[0, 1]
        print(f"{name}: correlation of distance and differing bits {correlation:.3f}")
        ax.hist2d(bits, apart, bins=(np.arange(0.5, 9), 32), cmap="Blues")
        ax.set(title=f"{name}: r = {correlation:.3f}", xlabel="bits that differ")
    axes[0].set_ylabel("distance of the numbers")
    figure.savefig(path, dpi=125)


def gamma(t):
    return np.cos((t + 2e-4) / (1 + 2.5e-4) * np.pi / 2) ** 2


def trajectories(share, starts, steps):
    """DDIM from x_1 for a bit that is +1 with probability `share`: [steps + 1, N]."""
    x, path = starts, [starts]
    for step in range(steps):
        now, after = gamma(1 - step / steps), gamma(1 - (step + 1) / steps)
        x0 = np.tanh(np.sqrt(now) * x / (1 - now) + np.log(share / (1 - share)) / 2)
        eps = (x - np.sqrt(now) * x0) / np.sqrt(1 - now)
        x = np.sqrt(after) * x0 + np.sqrt(1 - after) * eps
        path.append(x)
    return np.array(path)


def draw_toy(path):
    steps = 200
    figure, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
    for ax, share in zip(axes, (0.5, 0.25, 0.9)):
        grid = trajectories(share, np.linspace(-2.5, 2.5, 41), steps)
        for line in grid.T:
            ax.plot(np.linspace(1, 0, steps + 1), line, color="tab:blue" if line[-1] > 0 else "tab:orange", linewidth=0.7)
        ends = trajectories(share, np.random.RandomState(0).randn(100_000), steps)[-1]
        print(f"P(+1) = {share}: {np.mean(ends > 0):.4f} of 100,000 samples, {np.mean(np.abs(ends) > 0.99):.4f} within 0.01 of a bit")
        ax.set(title=f"P(+1) = {share}: {np.mean(ends > 0):.3f} drawn", xlabel="t")
        ax.invert_xaxis()
    axes[0].set_ylabel("x_t")
    figure.savefig(path, dpi=125)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", type=pathlib.Path, help="folder of the pictures")
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    draw_hamming(a.out / "hamming.png")
    draw_toy(a.out / "toy-bit.png")


if __name__ == "__main__":
    main()
