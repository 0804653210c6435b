#!/usr/bin/env python3
"""Times our U-Net and PyTorch's side by side and prints a Markdown table.

    BITDIFF_TORCH_PYTHON=python bench/compare.py BUILD [--rounds 5] [--out bench/results.md]

The contestants take turns within each round, so that a busy machine slows all alike; a number is the median over the
rounds of each program's own median. Lower is better. OMP_NUM_THREADS sets the threads of all.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = (("64", "1,2,2", "16"), ("256", "1,1,1", "4"))


def contestants(build):
    python = os.environ.get("BITDIFF_TORCH_PYTHON")
    if not python:
        sys.exit("BITDIFF_TORCH_PYTHON: expected a Python that has PyTorch, found nothing; set it")
    pytorch = [python, os.path.join(HERE, "pytorch_bench.py"), "--no-ceilings"]
    return {"bitdiff": [os.path.join(build, "bench", "bench_unet")],
            "PyTorch eager": pytorch,
            "PyTorch eager, channels last": pytorch + ["--channels-last"]}


def ask(command, case, runs):
    dim, mult, batch = case
    out = subprocess.run(command + ["--dim", dim, "--mult", mult, "--batch", batch, "--runs", str(runs)],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def processor():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())


def table(case, answers):
    dim, mult, batch = case
    lines = [f"dim {dim}, mult {mult}, 32x32, batch {batch}, {answers['bitdiff'][0]['parameters']:,} parameters:", "",
             "| | training step, s | of eager | range | sampling step, s | of eager | range |",
             "|---|---|---|---|---|---|---|"]
    median = {name: {key: statistics.median(a[key] for a in rounds) for key in ("train_seconds", "sample_step_seconds")}
              for name, rounds in answers.items()}
    for name, rounds in answers.items():
        cells = [name]
        for key in ("train_seconds", "sample_step_seconds"):
            values = [a[key] for a in rounds]
            ratio = median[name][key] / median["PyTorch eager"][key]
            cells += [f"{median[name][key]:.3f}", f"{ratio:.2f}", f"{min(values):.3f} - {max(values):.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines + [""]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--out", help="a file for the table; else it is printed only")
    a = p.parse_args()

    programs, load = contestants(a.build), os.getloadavg()[0]
    lines, versions = [], set()
    for case in CASES:
        answers = {name: [] for name in programs}
        for _ in range(a.rounds):
            for name, command in programs.items():
                answers[name].append(ask(command, case, a.runs))
        counts = {r["parameters"] for rounds in answers.values() for r in rounds}
        threads = {r["threads"] for rounds in answers.values() for r in rounds}
        if len(counts) != 1 or len(threads) != 1:
            sys.exit(f"not the same work: parameters {counts}, threads {threads}")
        versions |= {r["torch"] for rounds in answers.values() for r in rounds if "torch" in r}
        lines += table(case, answers)

    text = "\n".join([f"{processor()}, {os.cpu_count()} cores, {threads.pop()} threads, PyTorch {', '.join(versions)}, "
                      f"float32; {a.rounds} rounds; load {load:.1f} before and {os.getloadavg()[0]:.1f} after.", ""]
                     + lines)
    print(text)
    if a.out:
        with open(a.out, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()
