"""`python -m raw2vec`, and the installed `raw2vec`."""

import sys


def main() -> None:
    """Runs the command line; Ctrl-C is told in a word even while it is being read in, which takes a moment."""
    try:
        from raw2vec.cli import main as run

        run()
    except KeyboardInterrupt:
        print("raw2vec: stopped.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
