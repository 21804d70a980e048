"""The benchmarks that need no data of one's own, one after the other: `python -m benchmarks`. Each prints one JSON."""

import subprocess
import sys

COMMANDS = (
    "engines --items 300 --short 1200",
    "train",
    "training_peers --objective masked",
    "training_peers --objective contrastive",
    "recurrent",
    "search",
    "widths",
)

failed = []
for command in COMMANDS:
    name, *options = command.split()
    print(f"# {command}", flush=True)
    if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options]).returncode:
        failed.append(command)
if failed:
    sys.exit(f"These did not run to their end: {', '.join(failed)}. Peers come with pip install 'raw2vec[peers]'.")
