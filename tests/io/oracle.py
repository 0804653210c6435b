#!/usr/bin/env python3
"""A second opinion on files, by NumPy, safetensors and Pillow.

  oracle.py make FOLDER    writes files for bitdiff to read, and what it should find in them
  oracle.py check FOLDER   reads what bitdiff wrote
"""

import pathlib
import sys

import numpy as np
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

FILTERS = {"area": Image.Resampling.BOX, "bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
SIZES = [(64, 64), (7, 90), (120, 13), (31, 47), (9, 50), (9, 40), (45, 30), (30, 61)]  # height, width


def planes(image):
    return np.ascontiguousarray(np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def picture(height, width, channels):
    rng = np.random.default_rng(height * width)
    smooth = Image.fromarray(rng.integers(0, 256, (9, 9, channels), dtype=np.uint8).squeeze())
    noise = rng.integers(-20, 21, (height, width, channels)).squeeze()
    return np.clip(np.asarray(smooth.resize((width, height))) + noise, 0, 255).astype(np.uint8)


def make_arrays(folder):
    grid = np.arange(24).reshape(2, 3, 4)
    arrays = {code: grid.astype(code) for code in ("u1", "i1", "u2", "i2", "u4", "i4", "i8", "u8", "f2", "f4", "f8")}
    arrays["bool"] = grid % 3 == 0
    arrays["fortran"] = np.asfortranarray(grid)
    arrays["scalar"] = np.array(24)
    np.savez(folder / "stored.npz", **arrays)
    np.savez_compressed(folder / "deflated.npz", **arrays)
    np.save(folder / "plain.npy", grid.astype(np.uint8))
    with open(folder / "version3.npy", "wb") as file:
        np.lib.format.write_array(file, grid.astype(np.uint8), version=(3, 0))
    tensors = {name: arrays[name] for name in ("u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "bool", "scalar")}
    save_file(tensors, folder / "numpy.safetensors", metadata={"format": "np"})


def make_images(folder):
    rgb, grey = Image.fromarray(picture(45, 61, 3)), Image.fromarray(picture(45, 61, 1))
    alpha = rgb.copy()
    alpha.putalpha(Image.fromarray(picture(45, 61, 1)))
    images = {"rgb.png": rgb, "grey.png": grey, "alpha.png": alpha, "palette.png": rgb.quantize(13),
              "bit.png": grey.convert("1"), "grey-alpha.png": alpha.convert("LA"), "grey.jpg": grey}
    for name, image in images.items():
        image.save(folder / name)
    clear = rgb.quantize(3)
    clear.save(folder / "clear.png", transparency=1)
    for subsampling in (0, 1, 2):
        rgb.save(folder / f"rgb{subsampling}.jpg", subsampling=subsampling, quality=80)
    rgb.save(folder / "progressive.jpg", progressive=True)
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    found = {path.name: planes(Image.open(path)) for path in sorted(folder.iterdir()) if path.suffix in (".png", ".jpg")}
    np.savez(folder / "images.npz", **found)


def make_sizes(folder):
    whole = Image.fromarray(picture(45, 61, 3))
    resized = {"whole": planes(whole)}
    for name, resample in FILTERS.items():
        for height, width in SIZES:
            resized[f"{name} {height} {width}"] = planes(whole.resize((width, height), resample))
    np.savez(folder / "resized.npz", **resized)


def make(folder):
    for part, write in (("arrays", make_arrays), ("images", make_images), ("sizes", make_sizes)):
        (folder / part).mkdir()
        write(folder / part)


def check(folder):
    # What the test program wrote: arange(24) as [2, 3, 4] in several types.
    grid = np.arange(24).reshape(2, 3, 4)
    with np.load(folder / "ours.npz") as arrays:
        assert sorted(arrays) == ["arr_0", "float32", "int32", "int64"], sorted(arrays)
        for name in arrays:
            assert arrays[name].dtype == ("uint8" if name == "arr_0" else name), name
            assert np.array_equal(arrays[name], grid), name
    assert np.array_equal(np.load(folder / "ours.npy"), grid)
    with safe_open(folder / "ours.safetensors", "np") as file:
        assert file.metadata() == {"step": "7"}, file.metadata()
        for name in ("uint8", "int32", "int64", "float32"):
            tensor = file.get_tensor(name)
            assert tensor.dtype == name and np.array_equal(tensor, grid), name
        assert file.get_slice("bfloat16").get_shape() == [2, 3, 4]
    image = Image.open(folder / "ours.png")
    assert image.text == {"seed": "3"}, image.text
    assert np.array_equal(planes(image), np.arange(24).reshape(3, 2, 4))


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
