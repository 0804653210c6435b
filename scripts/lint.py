#!/usr/bin/env python3
"""Checks the form of every tracked file: clang-format, clang-tidy, shellcheck. Changes nothing.

    scripts/lint.py format          the formatter alone, a second
    scripts/lint.py all [BUILD]     all three; BUILD (default: build) holds compile_commands.json

clang-tidy takes 8 s or more for a file that sees LibTorch, so a file that was clean is remembered in the cache folder
until it, a header of ours that it includes, its compile command or the settings change.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "bitdiff"
CLEAN = CACHE / "lint"
# Not bin/clang-tidy: that script holds the path where the environment was made, which is another.
CLANG_TIDY = next(CACHE.glob("python-lint/lib/*/site-packages/clang_tidy/data/bin/clang-tidy"), None)
INCLUDE = re.compile(r'^#include "((?:bitdiff|tests|bench)/[^"]+)"', re.MULTILINE)


def tracked(*patterns):
    listed = subprocess.run(["git", "ls-files", "-z", "--", *patterns], check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if name and os.path.exists(name)]


def run(command):
    """True when the command succeeds; shows what it said when it does not."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout, end="")
    return done.returncode == 0


def check_format():
    files = tracked("*.h", "*.cpp", "*.cu", "*.cuh")
    clean = run(["clang-format", "--dry-run", "--Werror", *files])
    print(f"clang-format: {len(files)} files, " + ("clean" if clean else "NOT clean: `make format` mends it"))
    return clean


def check_scripts():
    files = [name for name in tracked("scripts", ".ci", "*.sh")
             if pathlib.Path(name).read_bytes().startswith((b"#!/usr/bin/env bash", b"#!/bin/sh"))]
    clean = not files or run(["shellcheck", *files])
    print(f"shellcheck: {len(files)} files, " + ("clean" if clean else "NOT clean"))
    return clean


def own_sources(name, seen):
    """The file and every header of ours that it includes, directly or not."""
    if name not in seen and os.path.exists(name):
        seen.add(name)
        for header in INCLUDE.findall(pathlib.Path(name).read_text()):
            own_sources(header, seen)
    return seen


def fingerprint(name, command, settings):
    digest = hashlib.sha256(f"{settings}\0{command}".encode())
    for source in sorted(own_sources(name, set())):
        digest.update(b"\0" + source.encode() + b"\0" + pathlib.Path(source).read_bytes())
    return digest.hexdigest()


def tidy(folder, name):
    # The compile commands are g++'s: clang knows fewer warnings, has no omp.h without another package, and calls
    # deprecated what g++'s own std::stable_sort is made of.
    command = [CLANG_TIDY, "-p", folder, "--quiet",
               "--extra-arg=-fno-openmp", "--extra-arg=-Wno-unknown-warning-option",
               "--extra-arg=-Wno-deprecated-declarations", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.returncode == 0, done.stdout


def compile_commands(build):
    """The folder of compile commands without precompiled headers (those are g++'s), and the command of each file."""
    entries = json.loads(pathlib.Path(build, "compile_commands.json").read_text())
    for entry in entries:
        entry["command"] = re.sub(r" -include \S*cmake_pch\.hxx", "", entry["command"])
    folder = pathlib.Path(build, "lint")
    folder.mkdir(exist_ok=True)
    (folder / "compile_commands.json").write_text(json.dumps(entries))
    return str(folder), {os.path.relpath(entry["file"]): entry["command"] for entry in entries}


def check_tidy(build):
    if CLANG_TIDY is None:
        print("clang-tidy: not installed: run `scripts/setup.sh lint`")
        return False
    folder, commands = compile_commands(build)
    version = subprocess.run([CLANG_TIDY, "--version"], check=True, capture_output=True, text=True).stdout
    settings = version + pathlib.Path(".clang-tidy").read_text()
    sources = [name for name in tracked("*.cpp") if name in commands]
    marks = {name: CLEAN / fingerprint(name, commands[name], settings) for name in sources}
    CLEAN.mkdir(parents=True, exist_ok=True)

    start, failed = time.monotonic(), []
    pending = [name for name in sources if not marks[name].exists()]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(tidy, folder, name): name for name in pending}
        for done in concurrent.futures.as_completed(running):
            name, (clean, said) = running[done], done.result()
            if clean:
                marks[name].touch()
            else:
                failed.append(name)
                print(said, end="", flush=True)
    took = time.monotonic() - start
    print(f"clang-tidy: {len(sources)} files, {len(pending)} looked at in {took:.0f} s, "
          + (f"NOT clean: {' '.join(sorted(failed))}" if failed else "clean"))
    return not failed


def main(arguments):
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    if arguments[:1] == ["format"]:
        return 0 if check_format() else 1
    if arguments[:1] == ["all"]:
        build = arguments[1] if len(arguments) > 1 else "build"
        results = [check_format(), check_scripts(), check_tidy(build)]
        return 0 if all(results) else 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
