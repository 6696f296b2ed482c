#!/usr/bin/env python3
"""Makes the fonts of the web client from fontsource's packages, cut down to what its pages show.

    pip install fonttools==4.68.0 brotli==1.2.1
    npm pack @fontsource-variable/inter@5.3.0 @fontsource-variable/jetbrains-mono@5.3.0   (unpack each to DIR/inter, DIR/mono)
    scripts/fonts.py DIR

The result is committed, so that no build needs any of this.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

TARGET = Path(__file__).resolve().parent.parent / "web-client" / "src" / "fonts"

# Latin letters, and the signs that our own texts use.
INTER = [*range(0x20, 0x7F), *range(0xA0, 0x100), *map(ord, "–—‘’“”…·×→←↑↓⌘−")]
# Logs are anything; what is not here comes from the system's own fonts.
MONO = [*range(0x20, 0x7F), *range(0xA0, 0x100), *map(ord, "–—‘’“”…•€")]


def cut(source: Path, name: str, codes: list[int], weights: tuple[int, int], features: list[str]) -> None:
    font = TTFont(source)
    options = subset.Options(flavor="woff2", layout_features=features, hinting=False, notdef_outline=True)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    font = instancer.instantiateVariableFont(font, {"wght": weights})
    font.flavor = "woff2"
    target = TARGET / f"{name}.woff2"
    font.save(target)
    print(f"{target.name}: {target.stat().st_size / 1024:.1f} KB")


def main() -> None:
    sources = Path(sys.argv[1])
    TARGET.mkdir(parents=True, exist_ok=True)
    files = "package/files"
    cut(sources / "inter" / files / "inter-latin-wght-normal.woff2", "inter", INTER, (400, 650), ["kern", "tnum"])
    cut(sources / "mono" / files / "jetbrains-mono-latin-wght-normal.woff2", "jetbrains-mono", MONO, (400, 700), [])
    for package in ("inter", "mono"):
        name = {"inter": "inter", "mono": "jetbrains-mono"}[package]
        (TARGET / f"{name}.LICENSE.txt").write_bytes((sources / package / "package" / "LICENSE").read_bytes())


if __name__ == "__main__":
    main()
