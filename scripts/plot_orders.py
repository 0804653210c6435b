#!/usr/bin/env python3
"""Draws the errors that bench_solvers prints against steps, with the slopes of orders 1 and 2.

    scripts/setup.sh plot
    build/bench/bench_solvers | ~/.cache/bitdiff/python-plot/bin/python scripts/plot_orders.py OUT.png

Prints the order that each solver shows, the slope of a line through its points above the rounding of float32.
"""
import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


FLOOR = 3e-6  # Ten times what rounding leaves of x_t.


def main():
    curves = {}
    for line in sys.stdin:
        point = json.loads(line)
        curves.setdefault(point["solver"], []).append((point["steps"], point["error"]))
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for solver, points in curves.items():
        steps, errors = np.array(points).T
        order = -np.polyfit(np.log(steps[errors > FLOOR]), np.log(errors[errors > FLOOR]), 1)[0]
        print(f"{solver}: order {order:.2f}")
        axes.plot(steps, errors, "o-", markersize=3, label=f"{solver}, order {order:.2f}")
    for order in (1, 2):
        axes.plot(steps, errors.max() * 3 * (steps / steps[0]) ** -float(order), ":", color="gray")
        axes.annotate(f"order {order}", (steps[-1], errors.max() * 3 * (steps[-1] / steps[0]) ** -float(order)))
    axes.set(xlabel="steps", ylabel="error of x_t at t = 1/4", xscale="log", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(sys.argv[1], dpi=125)


if __name__ == "__main__":
    main()
