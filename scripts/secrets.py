#!/usr/bin/env python3
"""Looks for secrets in the files that git keeps: well-known forms, and long random values given to a telling name.

A line that is a sample says so: `not a secret` in a comment on it. Files of which every value is one are in SAMPLES.
"""

import math
import re
import subprocess
import sys

# Each form with what is found by it.
FORMS = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a token of GitHub": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})\b",
    "a token of GitLab": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "a key of AWS": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a key of Google": r"\bAIza[A-Za-z0-9_-]{35}\b",
    "a token of Slack": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "a key of Stripe": r"\b[rs]k_live_[A-Za-z0-9]{20,}",
    "a token of npm": r"\bnpm_[A-Za-z0-9]{36}\b",
    "a token of PyPI": r"\bpypi-[A-Za-z0-9_-]{50,}",
    "a token of crates.io": r"\bcio[A-Za-z0-9]{32}\b",
    "a token of Slipway": r"\bslw_[A-Za-z0-9_-]{43}\b",
    "a signed token": r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{20,}",
}
FORMS = {what: re.compile(form) for what, form in FORMS.items()}
# A value in quotes for a name that tells what it is.
NAMED = re.compile(
    r"""(?i)(?:password|passwd|secret|token|api_?key|private_?key|credential)["']?\s*[:=]+\s*["']([A-Za-z0-9+/=_-]{20,})["']"""
)
# Bits a character from which on a value is random: words have less, hexadecimal digits nearly four.
ENTROPY_MIN = 3.6
SAMPLE = "not a secret"
# Integrity hashes, which are random and public.
SAMPLES = {"package-lock.json", "Cargo.lock"}
FILE_BYTES_MAX = 4 << 20


def entropy(value):
    shares = [value.count(character) / len(value) for character in set(value)]
    return -sum(share * math.log2(share) for share in shares)


def found(line):
    if SAMPLE in line:
        return
    for what, form in FORMS.items():
        if form.search(line):
            yield what
    for match in NAMED.finditer(line):
        value = match.group(1)
        if entropy(value) >= ENTROPY_MIN and any(character.isdigit() for character in value):
            yield "a random value for a secret's name"


def check_itself():
    """Whether it finds what it is there for, and no more. Put together here, so that they are not found in this file."""
    bad = ["AKIA" + "ABCDEFGHIJKLMNOP", "-----BEGIN RSA " + "PRIVATE KEY-----", "ghp_" + "a1" * 18]
    bad.append('api_key = "' + "q8Zr2LkP0vXw7TnB4cYd" + '"')
    good = ['token = "the-token-of-the-tests"', 'password: "${PASSWORD}"', bad[0] + "  # " + SAMPLE]
    wrong = [line for line in bad if not list(found(line))] + [line for line in good if list(found(line))]
    if wrong:
        sys.exit(f"scripts/secrets.py does not judge rightly: {wrong}")


def main():
    check_itself()
    listed = subprocess.run(["git", "ls-files", "-z"], stdout=subprocess.PIPE, check=True).stdout
    problems, count = [], 0
    for path in filter(None, listed.decode().split("\0")):
        if path.rsplit("/")[-1] in SAMPLES:
            continue
        try:
            with open(path, "rb") as file:
                content = file.read(FILE_BYTES_MAX)
        except (FileNotFoundError, IsADirectoryError):
            continue
        count += 1
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            # Never the value: what is printed here stands in the logs of CI.
            problems += [f"{path}:{number}: {what}" for what in found(line)]
    if problems:
        sys.exit("\n".join(problems) + f"\nA sample says so on its line: {SAMPLE}")
    print(f"{count} files: no secrets")


main()
