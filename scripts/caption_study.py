#!/usr/bin/env python3
"""Tables 3 and 4 of the paper on the program: captions by bits, by steps and td, beside the autoregressive baseline.

    scripts/caption_study.py --images IMAGES.npy --captions RECORDS.jsonl [--jobs 2]

Trains both models for each seed on the split "train" (and a tokenizer on its captions before), describes the images of --split
and scores that. What is there already is not done again. Results: OUT/captions.json and .md. `--set` is for both models and
`--bits-set` for that of bits; another --out keeps such a variant apart.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCORES = ("BLEU-4", "CIDEr", "ROUGE-L")


class Study:
    def __init__(self, a):
        self.a = a
        self.out = pathlib.Path(a.out).resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.environment = dict(os.environ)
        if a.jobs > 1:
            self.environment["OMP_NUM_THREADS"] = str(max((os.cpu_count() or 1) // a.jobs, 1))

    def program(self, *words, log):
        command = [self.a.program, *map(str, words)]
        with open(self.out / f"{log}.log", "ab") as file:
            done = subprocess.run(command, env=self.environment, stdout=file, stderr=file, check=False)
        if done.returncode:
            sys.exit(f"caption_study: {' '.join(command)} ended with {done.returncode}; see {self.out / log}.log")

    def prepare(self):
        """The references of the split alone, and a tokenizer of the training captions alone."""
        records = [json.loads(line) for line in open(self.a.captions, encoding="utf-8")]
        self.references = self.out / f"references-{self.a.split}.jsonl"
        with open(self.references, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(r) + "\n" for r in records if r["split"] == self.a.split)
        self.tokenizer = self.out / "captions.model"
        if not self.tokenizer.exists():
            text = self.out / "captions.txt"
            with open(text, "w", encoding="utf-8") as file:
                file.writelines(" ".join(c.split()) + "\n" for r in records if r["split"] == "train" for c in r["captions"])
            self.program("tokenizer", "train", text, "--vocab", self.a.vocab, "--out", self.tokenizer, log="tokenizer")

    def model(self, kind, seed):
        run = self.out / f"{kind}-{seed}{'-bf16' if self.a.bf16 else ''}"
        if not (run / "trained").exists():
            data = (f"data.path={self.a.images}", f"data.captions={self.a.captions}", f"data.tokenizer={self.tokenizer}")
            bf16 = ("train.bf16=true",) if self.a.bf16 else ()
            settings = (*data, *bf16, *self.a.set, *(self.a.bits_set if kind == "bits" else ()))
            resume = ["--resume"] if any((run / "checkpoints").glob("step-*")) else []
            self.program("train", ROOT / f"configs/flickr8k-{kind}.toml", "--out", run, "--seed", seed, *resume,
                         *(word for value in settings for word in ("--set", value)), log=run.name)
            (run / "trained").touch()
        return run

    def score(self, kind, seed, flags):
        run = self.model(kind, seed)
        if self.a.bf16 and kind == "bits":
            flags = (*flags, "--bf16")
        name = "-".join([run.name, self.a.split, *(flag.strip("-").replace("=", "") for flag in flags)])
        captions, figures = self.out / f"{name}.jsonl", self.out / f"{name}.json"
        if not captions.exists():
            self.program("caption", run, "--split", self.a.split, "--micro-batch", 50, "--out", captions, *flags, log=name)
        if not figures.exists():
            self.program("eval", "captions", "--candidates", captions, "--references", self.references, "--json", figures,
                         log=name)
        return json.loads(figures.read_text())["scores"]


def best_td(a, results, steps):
    """That of the highest BLEU-4."""
    return max(a.td, key=lambda td: statistics.mean(s["BLEU-4"] for s in results["bits", ("--steps", str(steps), "--td", td)]))


def measure(study):
    """{(kind, flags): [scores of each seed]}; with --consensus only at the best td."""
    a = study.a
    seeds = range(a.seeds)
    kinds = ["bits"] if a.no_baseline else ["bits", "ar"]
    cells = [("bits", ("--steps", str(s), "--td", td)) for s in a.steps for td in a.td]
    if not a.no_baseline:
        cells += [("ar", ("--set", f"decode.method={method}")) for method in ("greedy", "beam", "sample")]
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        list(pool.map(lambda pair: study.model(*pair), [(kind, seed) for seed in seeds for kind in kinds]))

        def score(cells):
            jobs = {cell: [pool.submit(study.score, cell[0], seed, cell[1]) for seed in seeds] for cell in cells}
            return {cell: [job.result() for job in of_seeds] for cell, of_seeds in jobs.items()}

        results = score(cells)
        if a.consensus > 1:
            results |= score([("bits", ("--steps", str(s), "--td", best_td(a, results, s), "--consensus", str(a.consensus)))
                              for s in a.steps])
        return results


def words_of(values, digits):
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean + (f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else "")


def tables(a, results):
    def bits(steps, td):
        return results["bits", ("--steps", str(steps), "--td", td)]

    def bleu(scores):
        return words_of([100 * s["BLEU-4"] for s in scores], 1)

    lines = ["BLEU-4 by steps and td:", "", "| steps | " + " | ".join(f"td {td}" for td in a.td) + " |",
             "|---" * (len(a.td) + 1) + "|"]
    lines += [f"| {steps} | " + " | ".join(bleu(bits(steps, td)) for td in a.td) + " |" for steps in a.steps]
    rows = []
    for steps in a.steps:
        td = best_td(a, results, steps)
        rows.append((f"bits, {steps} steps, td {td}", bits(steps, td)))
        if a.consensus > 1:
            rows.append((f"the same, the most agreed of {a.consensus}",
                         results["bits", ("--steps", str(steps), "--td", td, "--consensus", str(a.consensus))]))
    rows += [(f"autoregressive, {flags[1].split('=')[1]}", scores) for (kind, flags), scores in results.items() if kind == "ar"]
    lines += ["", "| model | BLEU-4 | CIDEr | ROUGE-L |", "|---|---|---|---|"]
    for name, scores in rows:
        others = (words_of([s[key] for s in scores], 3) for key in SCORES[1:])
        lines.append(f"| {name} | {bleu(scores)} | " + " | ".join(others) + " |")
    return "\n".join(lines) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--images", required=True, type=os.path.abspath)
    p.add_argument("--captions", required=True, type=os.path.abspath, help='records with "split"')
    p.add_argument("--split", default="test")
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--steps", type=int, nargs="+", default=[5, 10, 20, 40])
    p.add_argument("--td", nargs="+", default=list(map(str, range(9))))
    p.add_argument("--consensus", type=int, default=1, metavar="N", help="also at the best td, each caption out of N")
    p.add_argument("--vocab", type=int, default=4096)
    p.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    p.add_argument("--bits-set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    p.add_argument("--bf16", action="store_true",
                   help="in bfloat16, which is faster with AMX or AVX512-BF16: both trainings, and sampling bits")
    p.add_argument("--no-baseline", action="store_true")
    p.add_argument("--out", default="runs/captions")
    p.add_argument("--program", default=str(ROOT / "build/bitdiff"))
    p.add_argument("--jobs", type=int, default=1, help="programs at a time, which share the cores")
    a = p.parse_args()
    study = Study(a)
    study.prepare()
    results = measure(study)
    text = tables(a, results)
    (study.out / "captions.md").write_text(text)
    listed = [[kind, flags, scores] for (kind, flags), scores in results.items()]
    (study.out / "captions.json").write_text(json.dumps(listed, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
