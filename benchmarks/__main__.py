"""All benchmarks, one after the other: `python -m benchmarks`."""

import subprocess
import sys

for name in ("encode", "train", "search", "widths"):
    print(f"# {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
