"""The studies of scripts/experiment.py: which of the paper's tables and figures, as cells of a table."""
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """One number of a table: a model trained with `train`, sampled with `sample` (both --set), judged by `metric`."""
    row: str
    column: str
    train: tuple = ()
    sample: tuple = ()
    metric: str = "fd"  # Or "bits": the share of analog bits within 0.1 of a mode.
    flags: tuple = ()  # Of `bitdiff sample` and `bitdiff eval bits`.


@dataclass(frozen=True)
class Study:
    title: str
    cells: tuple
    seeds: int  # Of the preset's at most.
    axis: str = ""  # What the columns are, where they are numbers: drawn as curves.
    paper: str = ""  # What the paper found, in its own numbers.


@dataclass(frozen=True)
class Preset:
    config: str
    train: tuple
    samples: int
    steps: int  # Of sampling, where a study does not vary them.
    seeds: int
    cost: str = field(default="")
    device: str = "cpu"


PRESETS = {
    "cpu-hour": Preset("configs/cifar16.toml", (), 500, 50, 3, "CIFAR-10 at 16x16, 500 steps of 32"),
    "cpu-8x8": Preset("configs/cifar8.toml", (), 2000, 50, 3, "CIFAR-10 at 8x8, 5,000 steps of 32"),
    "gpu-30min": Preset("configs/cifar10-uint8.toml", ("train.steps=10000", "train.bf16=true"), 10000, 100, 1,
                        "CIFAR-10, the paper's network, 10,000 steps of 128", "cuda"),
    "paper": Preset("configs/cifar10-uint8.toml", (), 50000, 100, 1, "CIFAR-10 as in the paper", "cuda"),
}

UINT8 = ()
GRAY = ("codec.encoding=gray",)
RAND = ("codec.encoding=permuted", "diffusion.head=softmax")
RAND_BITS = ("codec.encoding=permuted",)
ONE_HOT = ("codec.encoding=onehot",)
PIXELS = ("codec.encoding=pixels", "diffusion.prediction=eps")
LOGISTIC = ("diffusion.loss=logistic",)
SOFTMAX = ("diffusion.loss=softmax",)
EPS = ("diffusion.prediction=eps",)
NO_SELF_COND = ("diffusion.self_cond_rate=0",)
NO_FEEDBACK = ("sample.self_cond=false",)
STEPS = (10, 20, 30, 50)


def steps(n):
    return (f"sample.steps={n}",)


def td(value):
    return (f"sample.td={value}", "sample.td_unit=time")


def self_cond_cells():
    for name, encoding in (("uint8", UINT8), ("rand", RAND_BITS)):
        yield Cell(f"{name}, x0", "with", encoding)
        yield Cell(f"{name}, x0", "without", encoding + NO_SELF_COND, NO_FEEDBACK)
    yield Cell("uint8, eps", "with", EPS)


def encoding_cells():
    for name, encoding in (("one-hot", ONE_HOT), ("uint8", UINT8), ("gray", GRAY), ("rand", RAND_BITS)):
        yield Cell(name, "L2", encoding)
        yield Cell(name, "logistic", encoding + LOGISTIC)
    yield Cell("one-hot", "softmax", ONE_HOT + SOFTMAX)
    yield Cell("rand, softmax head", "L2", RAND)
    yield Cell("rand, softmax head", "softmax", RAND + SOFTMAX)
    yield Cell("continuous pixels, eps", "L2", PIXELS)


STUDIES = {
    "self-cond": Study("Self-conditioning and prediction (Fig. 5)", tuple(self_cond_cells()), 3,
                       paper="self-conditioning helps every encoding much; x0 is much better than eps on bits"),
    "encodings": Study("Encodings and losses (Tables 1, 6)", tuple(encoding_cells()), 1,
                       paper="FID, L2 / logistic / softmax: one-hot 46.32 / 26.82 / 29.49, uint8 3.48 / 3.53, "
                             "gray 3.86 / 3.71, rand 6.93 / 49.29; continuous 3.14"),
    "td": Study("Asymmetric time intervals (Fig. 6)",
                tuple(Cell(f"{s} steps", f"{d:g}", UINT8, steps(s) + td(d)) for s in (10, 20, 50) for d in (0, 0.1, 0.2, 0.5)),
                3, axis="td", paper="at 100 steps a nonzero td is a large gain; the best td shrinks to 0 at 400"),
    "solvers": Study("Solvers (Tables 7, 8)",
                     tuple(Cell(s, str(n), UINT8, steps(n) + (f"sample.solver={s}",))
                           for s in ("ddim", "ddpm", "ddpm-small", "dpm++2m", "heun") for n in STEPS),
                     1, axis="steps",
                     paper="ImageNet 64x64, uint8: DPM-Solver at 30 steps 7.85, DDIM at 100 8.80, DDPM at 100 13.04"),
    "guidance": Study("Momentum and self-guidance (Table 9)",
                      (Cell("default", "fd", UINT8),)
                      + tuple(Cell(f"momentum {m}", "fd", UINT8, (f"sample.momentum={m}",)) for m in (0.2, 0.5, 0.8))
                      + tuple(Cell(f"self-guidance {w}", "fd", UINT8, (f"sample.self_guidance={w}",)) for w in (1.5, 3, 5)),
                      1, paper="ImageNet 64x64, uint8: default 4.84, momentum 4.85, self-guidance 5.15"),
    "int8": Study("Sampling with 8-bit integers", (Cell("uint8", "float32", UINT8),
                                                   Cell("uint8", "int8", UINT8, flags=("--int8",))), 3),
    "bits": Study("Bits before thresholding (Fig. 7)",
                  tuple(Cell(name, str(s), encoding, steps(s), "bits")
                        for name, encoding in (("uint8", UINT8), ("rand", RAND_BITS)) for s in (50,)),
                  3, paper="sharply bimodal"),
}
