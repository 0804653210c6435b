#!/usr/bin/env python3
"""Draws images with their captions by the number of steps, as Table 5 of the paper, beside those of the baseline.

    scripts/setup.sh plot
    ~/.cache/bitdiff/python-plot/bin/python scripts/plot_captions.py OUT.png BITS_RUN AR_RUN \\
        --images IMAGES.npy --captions RECORDS.jsonl --rows 12 345 678
"""
import argparse
import json
import pathlib
import subprocess
import tempfile
import textwrap

import matplotlib
import numpy

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = pathlib.Path(__file__).resolve().parent.parent


def describe(program, run, records, images, flags):
    """The caption of each record."""
    command = [program, "caption", run, "--split", "", "--captions", records, "--path", images, "--json", *flags]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line)["captions"][0] for line in done.stdout.splitlines()]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out")
    p.add_argument("bits")
    p.add_argument("ar")
    p.add_argument("--images", required=True)
    p.add_argument("--captions", required=True)
    p.add_argument("--rows", type=int, nargs="+", required=True)
    p.add_argument("--steps", type=int, nargs="+", default=[1, 2, 5, 10, 20])
    p.add_argument("--td", default="2")
    p.add_argument("--program", default=str(ROOT / "build/bitdiff"))
    a = p.parse_args()

    records = {r["row"]: r for r in map(json.loads, open(a.captions, encoding="utf-8")) if r["row"] in a.rows}
    with tempfile.TemporaryDirectory() as folder:
        chosen = pathlib.Path(folder, "chosen.jsonl")
        chosen.write_text("".join(json.dumps(records[row]) + "\n" for row in a.rows))
        columns = {f"{s} step{'s' * (s > 1)}": describe(a.program, a.bits, chosen, a.images, ["--steps", str(s), "--td", a.td])
                   for s in a.steps}
        columns["autoregressive"] = describe(a.program, a.ar, chosen, a.images, [])
    columns["a person"] = [records[row]["captions"][0] for row in a.rows]

    images = numpy.load(a.images, mmap_mode="r")
    figure, axes = plt.subplots(len(a.rows), 2, figsize=(9, 1.65 * len(a.rows)), width_ratios=[1, 5], layout="constrained",
                                squeeze=False)
    for i, (row, (picture, words)) in enumerate(zip(a.rows, axes)):
        picture.imshow(images[row])
        picture.axis("off")
        words.axis("off")
        lines = [f"{name + ':':16} " + textwrap.shorten(captions[i], 84) for name, captions in columns.items()]
        words.text(0, 0.5, "\n".join(lines), va="center", family="monospace", fontsize=7)
    figure.savefig(a.out, dpi=100)


if __name__ == "__main__":
    main()
