"""Equal bytes from equal work: in torch's kernels, whatever the number of threads."""

from __future__ import annotations

import os


def make_repeatable(threads: int) -> None:
    """Bound torch's CPU threads, and keep their number from changing a single bit; call before the first computation.

    A matrix product sums in another order with another number of threads unless MKL is told not to (`MKL_CBWR`, read
    at its first call).

    Parameters
    ----------
    threads
        CPU threads of this process.
    """
    os.environ.setdefault("MKL_CBWR", "AVX2,STRICT")
    import torch

    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        make_gpus_repeatable()


def make_gpus_repeatable() -> None:
    """Have torch prefer deterministic kernels on GPUs; call before the first computation."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.use_deterministic_algorithms(True, warn_only=True)
