#!/usr/bin/env python3
"""Makes data/emoji/emoji16.npz: the emoji of a colour font as 16x16 pictures in 32 colours.

    pip install numpy pillow fonttools
    apt-get install fonts-noto-color-emoji
    scripts/build_emoji.py [FONT.ttf] [OUT.npz]

The same font makes the same arrays on any machine: nothing here is random, and colours are chosen in integers.
"""

import io
import pathlib
import sys

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
OUT = pathlib.Path(__file__).resolve().parent.parent / "data/emoji/emoji16.npz"
SIDE = 16
COLOURS = 32


def glyphs(font):
    """Every bitmap of the font, in its order, on white: uint8 [128, 128, 3]."""
    (strike,) = TTFont(font)["CBDT"].strikeData
    for glyph in strike.values():
        image = Image.open(io.BytesIO(glyph.imageData)).convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        # Bitmaps are 136 x 128, of which 4 columns on either side are empty.
        margin = (image.width - image.height) // 2
        yield np.asarray(white.convert("RGB"))[:, margin:margin + image.height]


def small(picture):
    """The mean of each block, rounded: uint8 [16, 16, 3]."""
    block = len(picture) // SIDE
    sums = picture.reshape(SIDE, block, SIDE, block, 3).sum(axis=(1, 3), dtype=np.int64)
    return ((sums + block * block // 2) // (block * block)).astype(np.uint8)


def distances(colours, palette):
    """Squared distances, int64 [colours, palette]."""
    return np.square(colours[:, None, :] - palette[None, :, :]).sum(axis=2)


def first_palette(colours, counts):
    """The commonest colour, and then each time the one that would be worst off: how often times how far."""
    palette = [colours[counts.argmax()]]
    nearest = distances(colours, palette[0][None])[:, 0]
    while len(palette) < COLOURS:
        palette.append(colours[(counts * nearest).argmax()])
        nearest = np.minimum(nearest, distances(colours, palette[-1][None])[:, 0])
    return np.array(palette)


def make_palette(pixels):
    """k-means, in integers, of the colours that occur; white is always one. Lightest first."""
    colours, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    colours = colours.astype(np.int64)
    palette = first_palette(colours, counts)
    for _ in range(100):
        owner = distances(colours, palette).argmin(axis=1)
        total = np.bincount(owner, counts, COLOURS).astype(np.int64)[:, None]
        sums = np.stack([np.bincount(owner, counts * c, COLOURS).astype(np.int64) for c in colours.T], axis=1)
        means = np.where(total > 0, (sums + total // 2) // np.maximum(total, 1), palette)
        means[distances(np.array([[255, 255, 255]]), means).argmin()] = 255
        if np.array_equal(means, palette):
            break
        palette = means
    return palette[np.argsort(-palette @ [299, 587, 114], kind="stable")]


def main(font=FONT, out=OUT):
    pixels = np.stack([small(picture) for picture in glyphs(font)])
    palette = make_palette(pixels)
    images = distances(pixels.reshape(-1, 3).astype(np.int64), palette).argmin(axis=1)
    images = images.astype(np.uint8).reshape(-1, SIDE, SIDE)
    # Some glyphs look the same: the first of them stays.
    _, first = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)
    images = images[np.sort(first)]
    np.savez_compressed(out, images=images, palette=palette.astype(np.uint8))
    print(f"{out}: {len(images)} of {len(pixels)} glyphs, {COLOURS} colours")


if __name__ == "__main__":
    main(*sys.argv[1:])
