"""`python -m raw2vec` is `raw2vec`."""

from raw2vec.cli import main

if __name__ == "__main__":
    main()
