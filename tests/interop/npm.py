"""npm.py FOLDER: the packages of package.json, installed into FOLDER if they are not there yet."""
import filecmp
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def install(folder):
    """The folder of the programs, or None and a line that says why."""
    wanted, got = os.path.join(HERE, "package.json"), os.path.join(folder, "installed.json")
    programs = os.path.join(folder, "node_modules/.bin")
    if os.path.exists(got) and filecmp.cmp(wanted, got, shallow=False):
        return programs
    if shutil.which("npm") is None or shutil.which("node") is None:
        print("skipped: npm is not installed")
        return None
    os.makedirs(folder, exist_ok=True)
    shutil.copy(wanted, os.path.join(folder, "package.json"))
    done = subprocess.run(["npm", "install", "--prefix", folder, "--no-package-lock", "--no-audit",
                           "--no-fund", "--loglevel=error", "--fetch-retries=1"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        print(done.stdout + done.stderr)
        print("skipped: npm cannot install the packages of tests/interop/package.json")
        return None
    shutil.copy(wanted, got)
    return programs


if __name__ == "__main__":
    sys.exit(0 if install(sys.argv[1]) else 77)
