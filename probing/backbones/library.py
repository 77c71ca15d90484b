"""transformers, imported quietly, and the one broken installation that people meet explained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from .errors import LibraryBroken


def import_transformers() -> ModuleType:
    """Import transformers, with PyTorch.

    Raises:
        LibraryBroken: one of them does not import, in most cases because of a torchaudio built for
            CUDA beside a PyTorch built for the CPU: transformers imports torchaudio whenever it is
            installed.
    """
    try:
        import transformers
        from transformers import AutoModel, WavLMModel  # noqa: F401  (imported lazily: here is where torchaudio fails)
    except (OSError, ImportError, RuntimeError) as error:
        if any(name in str(error) for name in ("torchaudio", "libc10_cuda", "libcudart")):
            raise LibraryBroken(
                "transformers cannot be imported because the torchaudio installed here does not "
                "load, which happens when torchaudio was built for CUDA and PyTorch for the CPU. "
                f"Found: {first_line(error)}. This project does not need torchaudio: type `pip "
                "uninstall torchaudio`, or install the CUDA build of torch."
            ) from error
        raise LibraryBroken(
            "transformers or PyTorch cannot be imported: "
            f"{first_line(error)}. Type `pip install -U torch transformers`."
        ) from error
    return transformers


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the load reports and progress bars of transformers until the end of the block."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """Take the first line of an error's message, without a full stop."""
    # torch goes on with how to run the code in it all the same
    if "Weights only load failed" in str(error):
        return "its pickle holds more than tensors, which could run code and is not loaded"
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(" .")
