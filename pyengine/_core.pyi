"""The C++ core (csrc/bind). Arrays are C-contiguous; every method releases the GIL."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

kernels: ModuleType

class ModelConfig:
    """One architecture: the fields of ``pyengine.models.ModelConfig``, read only."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Fields by name; those that are missing, or ``None``, keep the core's defaults.

        Raises TypeError for a key that is no field and a value of another type, ValueError for a
        name that stands for nothing.
        """

    def __getattr__(self, name: str) -> Any: ...

def checksums(buffer: Buffer, section_bytes: int, num_threads: int) -> NDArray[np.uint32]:
    """CRC-32C of each ``section_bytes`` of a buffer of bytes, the last of which may be fewer."""

class Weights:
    """Weights packed for the kernels, and the configuration that they are for."""

    @staticmethod
    def pack(
        config: ModelConfig,
        tensors: Mapping[str, NDArray[np.float32]],
        compute_type: str,
        candidate_table: bool = False,
    ) -> Weights:
        """Read and pack one tensor after the other. Raises ValueError if one does not fit.

        ``candidate_table``: also what a shortlist needs of int8 weights.
        """

    @staticmethod
    def map(
        config: ModelConfig,
        buffer: memoryview,
        offsets: list[int],
        compute_type: str,
        candidate_table: bool = False,
    ) -> Weights:
        """Weights that lie in ``buffer``, each array at its offset, and are not copied.

        Raises ValueError if an array is not inside. Offsets are multiples of 64.
        """

    def arrays(self) -> list[NDArray[np.uint8]]:
        """The bytes of every array in a fixed order; tied ones share their memory."""

def packed_layout(config: ModelConfig, compute_type: str, candidate_table: bool = False) -> int:
    """What stands for how weights are packed; those of another one are not to be mapped."""

class Shortlist:
    """The candidates of source ids: the arrays of ``pyengine.models.shortlist.Shortlist``."""

    def __init__(
        self,
        num_first: int,
        offsets: NDArray[np.uint64],
        entries: NDArray[np.uint32],
        shared_vocabulary: bool = False,
    ) -> None: ...

class GenerationOptions:
    """One search: the fields of ``pyengine.GenerationOptions`` and ``return_scores``, read only."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """As :class:`ModelConfig` takes them."""

    def __getattr__(self, name: str) -> Any: ...

class CancelToken:
    """Ends calls from any thread, or at a time; what :class:`pyengine.CancelToken` derives from.

    A call that is ended raises CancelledError or DeadlineError.
    """

    def __init__(self, timeout: float | None = None, parent: CancelToken | None = None) -> None:
        """End calls ``timeout`` seconds from now, and when ``parent`` does."""

    def cancel(self) -> None:
        """End the calls that were given this token, now or later."""

    @property
    def cancelled(self) -> bool:
        """Whether calls with this token end."""

    def check(self) -> None:
        """Raise what such a call does."""

class FloatEnvironment:
    """While it is entered its thread rounds to nearest even and keeps denormal numbers."""

    def __init__(self) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *args: object) -> None: ...

class TokenQueue:
    """The tokens of ``Engine.stream`` on their way to another thread."""

    def __init__(self) -> None: ...
    def take(self, timeout: float) -> list[int]:
        """Remove what is there; if nothing is, wait for so many seconds, or till the end."""

class Engine:
    """A model on one instruction set."""

    def __init__(
        self,
        weights: Weights,
        isa: str = "",
        num_threads: int = 1,
        shortlist: Shortlist | None = None,
    ) -> None: ...
    @property
    def lost_at_fork(self) -> bool: ...
    @property
    def isa(self) -> str: ...
    @property
    def num_threads(self) -> int: ...
    @property
    def weight_bytes(self) -> int: ...
    def generate(
        self,
        source_ids: NDArray[np.int32],
        source_offsets: NDArray[np.int64],
        options: GenerationOptions,
        batch_size: int,
        cancel: CancelToken | None = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float32]]:
        """Return ids [m], offsets [sentences * n + 1] and scores [sentences * n]."""

    def stream(
        self,
        source_ids: NDArray[np.int32],
        options: GenerationOptions,
        tokens: TokenQueue,
        batch_size: int,
        cancel: CancelToken | None = None,
    ) -> None:
        """Generate for one input; each token goes to ``tokens`` as it is made."""

    def score(
        self,
        source_ids: NDArray[np.int32],
        source_offsets: NDArray[np.int64],
        target_ids: NDArray[np.int32],
        target_offsets: NDArray[np.int64],
        decoder_start_token_id: int,
        batch_size: int,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.float32]:
        """Return the log-probability of every target id, [len(target_ids)]."""

    def score_texts(
        self,
        ids: NDArray[np.int32],
        offsets: NDArray[np.int64],
        batch_size: int,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.float32]:
        """Return the log-probability of every id given those before it, 0 of the first ones."""

    def logits(
        self,
        source_ids: NDArray[np.int32],
        decoder_input_ids: NDArray[np.int32],
        cancel: CancelToken | None = None,
    ) -> NDArray[np.float32]:
        """Return the teacher-forced logits, [len(decoder_input_ids), vocab_size]."""

    def encode(
        self,
        ids: NDArray[np.int32],
        offsets: NDArray[np.int64],
        batch_size: int,
        token_types: NDArray[np.int32] = ...,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.float32]:
        """Return the encoder's last hidden states, [len(ids), hidden_size].

        ``token_types`` has as many entries as ``ids``, or none: all are of type 0.
        """

    def classify(
        self,
        ids: NDArray[np.int32],
        offsets: NDArray[np.int64],
        batch_size: int,
        token_types: NDArray[np.int32] = ...,
        cancel: CancelToken | None = None,
    ) -> NDArray[np.float32]:
        """Return the logits of every class, [texts, num_labels]."""

def available_isas() -> list[str]:
    """The instruction sets this CPU runs, best first."""

def resolve_isa(name: str = "") -> str:
    """The instruction set a name stands for; "" is PYENGINE_ISA or the best."""
