"""Speed, measured: ratios against a peer in one interleaved run, and shares of the machine's own GEMM rate."""
