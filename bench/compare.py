#!/usr/bin/env python3
"""Times our networks and PyTorch's side by side: what `make bench` runs.

    BITDIFF_TORCH_PYTHON=python bench/compare.py BUILD [--rounds 3] [--runs 5] [--cases train-dim64 ...] [--device cuda] [--md FILE]

Writes BUILD/bench.json, a list of rows, and the same as a Markdown table. The contestants take turns within each round; a
number is the median over the rounds of each program's own median. OMP_NUM_THREADS sets the threads of all. `compile` is
eager PyTorch behind torch.compile. In a case that ends in -bf16 both compute in bfloat16, and so do the ceilings. Use an idle machine: PyTorch's
threads spin for longer than ours, so that a busy one slows it more than us.
"""
import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DIM64, DIM256 = ["--dim", "64", "--mult", "1,2,2", "--batch", "16"], ["--dim", "256", "--mult", "1,1,1", "--batch", "4"]
CAPTIONS = ["--batch", "64"]
# Name: our program, what it does, its flags, our further flags, PyTorch's, examples a call, unit, which ceiling.
CASES = {
    "train-dim64": ("bench_unet", "train", DIM64, [], [], 16, "images/s", "conv"),
    "sample-dim64": ("bench_unet", "sample", DIM64, [], [], 16, "image-steps/s", "conv"),
    "train-dim256": ("bench_unet", "train", DIM256, [], [], 4, "images/s", "conv"),
    "sample-dim256": ("bench_unet", "sample", DIM256, [], [], 4, "image-steps/s", "conv"),
    "sample-dim64-int8": ("bench_unet", "sample", DIM64, ["--int8"], [], 16, "image-steps/s", "conv"),
    "sample-dim256-int8": ("bench_unet", "sample", DIM256, ["--int8"], [], 4, "image-steps/s", "conv"),
    "caption-train": ("bench_captions", "train", CAPTIONS, [], ["--captions"], 64, "captions/s", "matmul"),
    "caption-sample": ("bench_captions", "sample", CAPTIONS, [], ["--captions"], 64, "caption-steps/s", "matmul"),
}
CASES |= {f"{name}-bf16": (program, what, flags, [*ours, "--bf16"], [*more, "--bf16"], examples, unit, f"{ceiling}-bf16")
          for name, (program, what, flags, ours, more, examples, unit, ceiling) in CASES.items() if "int8" not in name}
# On a GPU: the paper's networks for CIFAR-10 and ImageNet 64x64, by the bfloat16 matrix product, and with CUDA graphs.
CIFAR10 = ["--dim", "256", "--mult", "1,1,1", "--batch", "128"]
IMAGENET64 = ["--dim", "192", "--mult", "1,2,3,4", "--resolution", "64", "--batch", "64"]
GPU_CASES = {
    f"{net}-{what}-bf16{graphs}": ("bench_unet", what, flags, ["--bf16"] + (["--cuda-graphs"] if graphs else []), ["--bf16"],
                                   int(flags[-1]), "images/s" if what == "train" else "image-steps/s", "matmul-bf16")
    for net, flags in (("cifar10", CIFAR10), ("imagenet64", IMAGENET64)) for what in ("train", "sample")
    for graphs in ("", "-graphs")}
CASES |= GPU_CASES
# What to reach: pattern of the case, key of the row, at least.
TARGETS = (("train-dim[0-9]+", "ratio_eager", 1.5), ("train-dim[0-9]+", "ratio_compile", 1.4),
           ("train-dim[0-9]+", "ceiling_share", 0.75),
           ("sample-dim[0-9]+", "ratio_eager", 1.4), ("sample-dim[0-9]+", "ceiling_share", 0.85),
           ("sample-.*-int8", "ratio_eager", 2.5), ("caption-[a-z]+", "ratio_eager", 1.3),
           ("caption-[a-z]+", "ceiling_share", 0.6),
           ("(cifar10|imagenet64)-.*", "ratio_compile", 1.3), ("(cifar10|imagenet64)-train-.*", "ceiling_share", 0.55),
           ("(cifar10|imagenet64)-sample-.*", "ceiling_share", 0.6))
MEMORY_TARGET = 0.8
HELP_SECONDS, SAMPLE_SECONDS = 0.05, 1.5


def ask(command):
    """The JSON that a program prints last, or None where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def commands(name, build, python, runs, device):
    program, what, flags, ours, more, _, _, _ = CASES[name]
    how = [*flags, "--runs", str(runs), "--device", device]
    pytorch = [python, os.path.join(HERE, "pytorch_bench.py"), what, *more, *how]
    return {"ours": [os.path.join(build, "bench", program), what, *ours, *how],
            "eager": pytorch, "compile": pytorch + ["--compile"]}


def measure_ceilings(python, kinds, device):
    """FLOP/s that LibTorch reaches in each kind of case, its version and the GPU."""
    result = {}
    for suffix, flags in (("", []), ("-bf16", ["--bf16"])):
        if any(kind.endswith("-bf16") == bool(suffix) for kind in kinds):
            said = ask([python, os.path.join(HERE, "pytorch_bench.py"), "ceilings", *flags, "--device", device])
            result |= {f"{key}{suffix}": said[key] for key in ("conv", "matmul")} | {key: said[key] for key in ("torch", "device")}
    return result


def row(name, answers, ceiling, device):
    """One row of bench.json. answers: for each contestant what it said in each round; ceiling: FLOP/s."""
    _, what, _, _, _, examples, unit, _ = CASES[name]
    for who in ("ours", "eager"):
        if None in answers[who]:
            sys.exit(f"{name}: {who} failed, see above")
    seconds = {who: [a["seconds"] for a in said] for who, said in answers.items() if None not in said}
    rate = {who: examples / statistics.median(s) for who, s in seconds.items()}
    flop = answers["eager"][0]["flop"]
    result = {"case": name, "ours": round(rate["ours"], 3), "eager": round(rate["eager"], 3),
              "compile": round(rate["compile"], 3) if "compile" in rate else None, "unit": unit,
              "ratio_eager": round(rate["ours"] / rate["eager"], 3),
              "ratio_compile": round(rate["ours"] / rate["compile"], 3) if "compile" in rate else None,
              "ceiling_share": round(flop / statistics.median(seconds["ours"]) / ceiling, 3),
              "spread": round((max(seconds["ours"]) - min(seconds["ours"])) / statistics.median(seconds["ours"]), 3)}
    if what == "train" and device == "cpu":
        held = {who: answers[who][0]["peak_mb"] - answers[who][0]["before_mb"] for who in ("ours", "eager")}
        result |= {"ours_mb": round(held["ours"]), "eager_mb": round(held["eager"]),
                   "ratio_mb": round(held["ours"] / held["eager"], 3)}
    return result


def wall(command, times):
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def start_up(build):
    """The seconds of --help, and of a sampler of 52 million parameters without its steps: one step's less a step."""
    program = os.path.abspath(os.path.join(build, "bitdiff"))
    rows = [{"case": "help", "ours": round(wall([program, "--help"], 11), 4), "unit": "s"}]
    with tempfile.TemporaryDirectory() as folder:
        run = os.path.join(folder, "run")
        train = [program, "train", os.path.join(HERE, "..", "configs", "emoji.toml"), "--out", run, "--steps", "1"]
        for setting in ("unet.dim=256", "unet.mult=[1,1,1]", "train.warmup=0", "train.eval_every=0", "sample.steps=1"):
            train += ["--set", setting]
        subprocess.run(train, check=True, capture_output=True, cwd=os.path.join(HERE, ".."))
        sample = [program, "sample", run, "--num", "1", "--out", os.path.join(folder, "out.npz"), "--steps"]
        one, two = wall(sample + ["1"], 5), wall(sample + ["2"], 5)
        rows.append({"case": "sample-start", "ours": round(2 * one - two, 3), "unit": "s"})
    return rows


def verdicts(rows):
    """One line for each target: what was reached of it."""
    for r in rows:
        for pattern, key, least in TARGETS:
            if not re.fullmatch(pattern, r["case"]):
                continue
            if r[key] is None:
                yield f"{r['case']}: {key} not measured, target {least}"
            else:
                yield f"{r['case']}: {key} {r[key]:.2f}, target {least}: {'met' if r[key] >= least else 'missed'}"
        if "ratio_mb" in r and "bf16" not in r["case"]:
            yield (f"{r['case']}: memory {r['ratio_mb']:.2f} of eager's, target {MEMORY_TARGET}: "
                   f"{'met' if r['ratio_mb'] <= MEMORY_TARGET else 'missed'}")
    for case, most in (("help", HELP_SECONDS), ("sample-start", SAMPLE_SECONDS)):
        for r in (r for r in rows if r["case"] == case):
            yield f"{case}: {r['ours']} s, target {most} s: {'met' if r['ours'] <= most else 'missed'}"


def markdown(rows, about):
    lines = [about, "", "| case | unit | bitdiff | eager | compile | of eager | of compile | of ceiling | spread | MB, of eager's |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    show = lambda value: "" if value is None else f"{value:g}"
    for r in rows:
        memory = f"{r['ours_mb']} of {r['eager_mb']}" if "ours_mb" in r else ""
        keys = ("ours", "eager", "compile", "ratio_eager", "ratio_compile", "ceiling_share", "spread")
        lines.append(f"| {r['case']} | {r['unit']} | " + " | ".join(show(r.get(k)) for k in keys) + f" | {memory} |")
    return "\n".join(lines + [""] + [f"- {line}" for line in verdicts(rows)]) + "\n"


def processor():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())


def check_same_work(name, answers):
    said = [a for each in answers.values() for a in each if a]
    for key in ("parameters", "threads"):
        if len({a[key] for a in said}) != 1:
            sys.exit(f"{name}: not the same work: {key} {sorted({a[key] for a in said})}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--cases", nargs="*", choices=CASES, help="default: all of the device's")
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="cpu or cuda; a GPU is timed with the paper's networks")
    p.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes minutes to compile")
    p.add_argument("--md", help="a file for the table; else it is printed only")
    a = p.parse_args()
    python = os.environ.get("BITDIFF_TORCH_PYTHON")
    if not python:
        sys.exit("BITDIFF_TORCH_PYTHON: expected a Python that has PyTorch, found nothing; set it")

    if a.cases is None:
        a.cases = [name for name in CASES if (name in GPU_CASES) == (a.device != "cpu")]
    load, ceilings = os.getloadavg()[0], []
    kinds = {CASES[name][-1] for name in a.cases}
    answers = {name: {} for name in a.cases}
    for _ in range(a.rounds):
        ceilings.append(measure_ceilings(python, kinds, a.device))
        for name in a.cases:
            for who, command in commands(name, a.build, python, a.runs, a.device).items():
                if who == "compile" and a.no_compile:
                    continue
                answers[name].setdefault(who, []).append(ask(command))
            check_same_work(name, answers[name])
    best = {key: max(c[key] for c in ceilings) for key in ceilings[0] if key not in ("torch", "device")}
    rows = [row(name, answers[name], best[CASES[name][-1]], a.device) for name in a.cases]
    if a.device == "cpu":
        rows += start_up(a.build)

    threads = answers[a.cases[0]]["ours"][0]["threads"] if a.cases else 0
    device = f" {ceilings[0]['device']}," if a.device != "cpu" else ""
    about = (f"{processor()}, {os.cpu_count()} cores,{device} {threads} threads, PyTorch {ceilings[0].get('torch', 'not asked')}; {a.rounds} rounds; load "
             f"{load:.1f} before and {os.getloadavg()[0]:.1f} after; ceilings in GFLOP/s, conv a 3x3 convolution, matmul a "
             f"matrix product: {', '.join(f'{key} {value / 1e9:.0f}' for key, value in best.items())}.")
    with open(os.path.join(a.build, "bench.json"), "w") as file:
        json.dump(rows, file, indent=1)
    text = markdown(rows, about)
    print(text)
    if a.md:
        with open(a.md, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()
