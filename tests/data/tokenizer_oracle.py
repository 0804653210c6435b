"""Another opinion on tokens: tokenizer_oracle.py MODEL TEXT LINES OUT.npz encodes the first lines of a text.

Writes `tokens`, of all lines one after the other, `counts`, how many each line has, and `decoded`, the UTF-8 bytes of what
the lines decode to, each with a line feed.
"""

import sys

import numpy as np
import sentencepiece

model, text, count, out = sys.argv[1:]
processor = sentencepiece.SentencePieceProcessor(model_file=model)
with open(text, encoding="utf-8") as file:
    lines = [line for line in file.read().split("\n") if line][: int(count)]
tokens = processor.encode(lines)
decoded = "".join(line + "\n" for line in processor.decode(tokens))
np.savez(
    out,
    tokens=np.concatenate([np.array(line, np.int32) for line in tokens]),
    counts=np.array([len(line) for line in tokens], np.int32),
    decoded=np.frombuffer(decoded.encode(), np.uint8),
)
