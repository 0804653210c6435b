#!/usr/bin/env python3
"""Runs the paper's studies on the program: trains, samples and judges every cell of a table, and writes the table and a plot.

    scripts/setup.sh plot
    ~/.cache/bitdiff/python-plot/bin/python scripts/experiment.py STUDY --data CIFAR10 [--preset cpu-hour] [--jobs 2]

What is there already is not done again: an interrupted study goes on, and studies share their models and samples. Studies:
self-cond, encodings, td, solvers, guidance, int8, bits (scripts/studies.py). Results: OUT/STUDY.json, .md and .svg.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys

from studies import PRESETS, STUDIES

ROOT = pathlib.Path(__file__).resolve().parent.parent


def key_of(*parts):
    """A short name of its own for a list of settings."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def sets(values):
    return [word for value in values for word in ("--set", value)]


class Runner:
    """Runs the program so that each file is made once: a partial result never has its final name."""

    def __init__(self, a):
        self.a = a
        self.preset = PRESETS[a.preset]
        self.out = pathlib.Path(a.out) / a.preset
        self.environment = dict(os.environ)
        if a.jobs > 1:
            self.environment["OMP_NUM_THREADS"] = str(max((os.cpu_count() or 1) // a.jobs, 1))

    def program(self, *words, log):
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [self.a.program, *map(str, words)]
        with open(log, "ab") as file:
            done = subprocess.run(command, cwd=ROOT, env=self.environment, stdout=file, stderr=file, check=False)
        if done.returncode:
            sys.exit(f"experiment: {' '.join(command)} ended with {done.returncode}; see {log}")

    def model(self, train, seed):
        settings = self.preset.train + train + ((f"data.path={self.a.data}",) if self.a.data else ())
        config = (ROOT / self.preset.config).read_text()
        run = self.out / "models" / key_of(config, self.a.data, self.preset.train + train, seed)
        done = run / "trained"
        if not done.exists():
            resume = ["--resume"] if any((run / "checkpoints").glob("step-*")) else []
            self.program("train", self.preset.config, "--out", run, "--seed", seed, "--device", self.a.device,
                         *sets(settings), *resume,
                         log=run.with_suffix(".log"))
            done.write_text(f"{' '.join(train) or 'uint8'}, seed {seed}\n")
        return run

    def measure(self, cell, seed):
        """The number of one cell for one seed."""
        run = self.model(cell.train, seed)
        sample = (f"sample.steps={self.preset.steps}",) + cell.sample
        base = self.out / cell.metric / key_of(run.name, sample, self.preset.samples, *cell.flags)
        # Samples may be shared by figures of several networks.
        network = pathlib.Path(self.a.features).read_bytes() if cell.metric == "fd" else b""
        figures = base.with_name(f"{base.name}-{hashlib.sha256(network).hexdigest()[:12]}.json")
        if not figures.exists():
            base.parent.mkdir(parents=True, exist_ok=True)
            device = "cpu" if "--int8" in cell.flags else self.a.device
            count = ["--num", self.preset.samples, "--device", device, *sets(sample), *cell.flags]
            if cell.metric == "bits":
                self.program("eval", "bits", run, *count, "--json", figures, "--picture", base.with_suffix(".svg"),
                             log=base.with_suffix(".log"))
            else:
                samples = base.with_suffix(".npz")
                if not samples.exists():
                    self.program("sample", run, *count, "--out", samples, log=base.with_suffix(".log"))
                self.program("eval", "images", samples, self.reference(), "--features", self.a.features, "--metrics",
                             "fid", "--json", figures, log=base.with_suffix(".log"))
        result = json.loads(figures.read_text())
        if cell.metric == "bits":
            return result["share_within_0.1_of_a_mode"], None
        figure = next(iter(result["figures"].values()))
        return figure["value"], figure["floor"]

    def reference(self):
        """The real data as a config: the program reads its [data] section."""
        path = self.out / "reference.toml"
        text = (ROOT / self.preset.config).read_text()
        if self.a.data:
            lines = (f'path = "{self.a.data}"' if line.startswith("path = ") else line for line in text.splitlines())
            text = "\n".join(lines) + "\n"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        return path


def measure_all(runner, study):
    """{(row, column): [value of each seed]} and the floor."""
    seeds = range(min(study.seeds, runner.preset.seeds))
    # A model is trained once, however many cells it has: first all models, then what is made of them.
    models = list(dict.fromkeys((cell.train, seed) for seed in seeds for cell in study.cells))
    with concurrent.futures.ThreadPoolExecutor(runner.a.jobs) as pool:
        list(pool.map(lambda pair: runner.model(*pair), models))
        jobs = {(cell, seed): pool.submit(runner.measure, cell, seed) for seed in seeds for cell in study.cells}
        results = {pair: job.result() for pair, job in jobs.items()}
    values, floors = {}, []
    for (cell, _), (value, floor) in results.items():
        values.setdefault((cell.row, cell.column), []).append(value)
        floors += [floor] if floor is not None else []
    return values, statistics.mean(floors) if floors else None


def words_of(values):
    mean = statistics.mean(values)
    return f"{mean:.3g} ± {statistics.stdev(values):.2g}" if len(values) > 1 else f"{mean:.3g}"


def table(study, values):
    rows = list(dict.fromkeys(row for row, _ in values))
    columns = list(dict.fromkeys(column for _, column in values))
    lines = [f"| {study.axis} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        cells = [words_of(values[row, column]) if (row, column) in values else "" for column in columns]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(study, values, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = list(dict.fromkeys(row for row, _ in values))
    columns = list(dict.fromkeys(column for _, column in values))
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for index, row in enumerate(rows):
        there = [column for column in columns if (row, column) in values]
        means = [statistics.mean(values[row, column]) for column in there]
        spread = [statistics.stdev(v) if len(v := values[row, column]) > 1 else 0 for column in there]
        if study.axis:
            axes.errorbar([float(column) for column in there], means, spread, marker="o", markersize=3, capsize=2, label=row)
        else:
            places = [columns.index(column) + 0.8 * index / len(rows) for column in there]
            axes.bar(places, means, 0.75 / len(rows), yerr=spread, capsize=2, label=row)
    if study.axis:
        places = [float(column) for column in columns]
        axes.set(xscale="log" if min(places) > 0 else "linear", xlabel=study.axis, xticks=places, xticklabels=columns)
        axes.minorticks_off()
    else:
        axes.set_xticks([i + 0.4 - 0.4 / len(rows) for i in range(len(columns))], columns)
    axes.set(title=study.title, ylabel="Fréchet distance" if study.cells[0].metric == "fd" else "share near a mode")
    axes.grid(alpha=0.3, axis="y")
    axes.legend(fontsize="small")
    figure.savefig(path)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("study", choices=STUDIES)
    p.add_argument("--preset", choices=PRESETS, default="cpu-hour")
    p.add_argument("--data", help="folder of CIFAR-10 binaries; default: the config's")
    p.add_argument("--features", default="data/features/cifar10.safetensors", help="network of the Fréchet distance")
    p.add_argument("--device", help="where to compute; default: cuda for the presets of GPUs, else cpu")
    p.add_argument("--out", default="runs/experiments")
    p.add_argument("--program", default=str(ROOT / "build/bitdiff"))
    p.add_argument("--jobs", type=int, default=1, help="programs at a time, which share the cores")
    a = p.parse_args()
    a.out = str(pathlib.Path(a.out).resolve())
    a.device = a.device or PRESETS[a.preset].device

    study, runner = STUDIES[a.study], Runner(a)
    values, floor = measure_all(runner, study)
    text = [f"{study.title}; {runner.preset.cost}; {runner.preset.samples} samples", "", table(study, values), ""]
    if floor is not None:
        text.append(f"Floor, between the halves of the real data: {floor:.3g}.")
    if study.paper:
        text.append(f"The paper: {study.paper}.")
    base = runner.out / a.study
    base.with_suffix(".json").write_text(json.dumps([[*pair, numbers] for pair, numbers in values.items()], indent=1) + "\n")
    base.with_suffix(".md").write_text("\n".join(text) + "\n")
    plot(study, values, base.with_suffix(".svg"))
    print("\n".join(text))


if __name__ == "__main__":
    main()
