#!/usr/bin/env python3
"""Checks licences and sources of all crates against deny.toml, where cargo-deny is not installed.

cargo-deny does this and more; it is not asked for since a build of it takes minutes on a CI machine that has
Rust alone.
"""

import json
import re
import subprocess
import sys
import tomllib

REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def tokens(expression):
    # A slash is how crates wrote OR before SPDX expressions.
    return re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))


def is_allowed(expression, allowed):
    """Whether the SPDX expression can be met with allowed licences alone; AND binds closer than OR."""
    rest = tokens(expression)

    def either():
        met = both()
        while rest and rest[0] == "OR":
            rest.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while rest and rest[0] == "AND":
            rest.pop(0)
            met = one() and met
        return met

    def one():
        word = rest.pop(0)
        if word == "(":
            met = either()
            rest.pop(0)
            return met
        if rest and rest[0] == "WITH":
            rest.pop(0)
            word += " WITH " + rest.pop(0)
        return word in allowed

    met = either()
    if rest:
        raise ValueError(f"not an SPDX expression: {expression}")
    return met


def main():
    with open("deny.toml", "rb") as file:
        allowed = set(tomllib.load(file)["licenses"]["allow"])
    # Of this platform alone, so that nothing is downloaded for others.
    version = subprocess.run(["rustc", "-vV"], stdout=subprocess.PIPE, check=True, text=True).stdout
    host = re.search(r"^host: (.*)$", version, re.MULTILINE).group(1)
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host]
    packages = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["packages"]
    problems = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        if package["source"] not in (None, REGISTRY):
            problems.append(f"{name} comes from {package['source']}, not from crates.io")
        if not package["license"] or not is_allowed(package["license"], allowed):
            problems.append(f"{name} has the licence {package['license']}, which deny.toml does not allow")
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(packages)} crates: licences and sources are as deny.toml allows")


main()
