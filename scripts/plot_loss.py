#!/usr/bin/env python3
"""Draws the loss curves of runs from their metrics.jsonl.

    scripts/setup.sh plot
    ~/.cache/bitdiff/python-plot/bin/python scripts/plot_loss.py OUT.png RUN...

The training loss is averaged over a fiftieth of the run; points are losses on held-out examples with the averaged weights.
"""
import argparse
import json
import os

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


def curve(lines, key):
    points = [(line["step"], line[key]) for line in lines if key in line]
    return np.array(points, dtype=float).reshape(-1, 2)


def smooth(points, width):
    """Means over non-overlapping windows, at the middle of each."""
    whole = len(points) // width * width
    return points[:whole].reshape(-1, width, 2).mean(1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", help="a picture: .png or .svg")
    p.add_argument("runs", nargs="+", help="run folders")
    a = p.parse_args()

    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for run in a.runs:
        with open(os.path.join(run, "metrics.jsonl")) as file:
            lines = [json.loads(line) for line in file]
        name = os.path.basename(os.path.normpath(run))
        train, held_out = curve(lines, "loss"), curve(lines, "held_out_loss")
        line, = axes.plot(*smooth(train, max(len(train) // 50, 1)).T, alpha=0.6, label=f"{name}: training")
        if len(held_out):
            axes.plot(*held_out.T, "o-", markersize=3, color=line.get_color(), label=f"{name}: held out, EMA")
    axes.set(xlabel="step", ylabel="loss", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(a.out, dpi=125)


if __name__ == "__main__":
    main()
