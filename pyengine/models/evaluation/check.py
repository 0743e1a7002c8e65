"""Does a graph compute what its family computes? The first node that does not is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyengine.errors import Error, UnsupportedModelError
from pyengine.memory import reserve
from pyengine.models.config import ModelConfig
from pyengine.models.constants import Operand
from pyengine.models.dataflow import Value, input_of
from pyengine.models.evaluation.definition import Definition
from pyengine.models.evaluation.interpreter import EvaluationError, Interpreter, Wiring
from pyengine.models.evaluation.probe import (
    KeysValues,
    Probe,
    cached,
    has_known_past,
    is_of_encoder,
    make_probe,
)
from pyengine.models.evaluation.surrogates import Surrogates
from pyengine.models.evaluation.suspect import find_suspect, is_product
from pyengine.models.graph import Graph
from pyengine.models.modules import Modules
from pyengine.models.patterns import linear
from pyengine.models.tensors import Kind

_TEXTS, _LENGTH = 3, 7
_LONG, _LONG_RELATIVE = 40, 140
"""Tokens; relative positions have buckets up to a distance of 128."""
_SMALLER = 0.7
"""Of the numbers that queries and keys have, those that other products give."""
TOLERANCE = 1e-3
"""Of the largest number of a row; float32 is off by less."""
_HALF_TOLERANCE = 5e-3
"""The same where a graph computes with numbers of 16 bits, such as the scale of the scores."""
_PRODUCTS = 48 << 20
"""Bytes that must be free: OpenBLAS, which NumPy multiplies by, ends the process where there are
not 32 MB for its first product."""


def check_computation(
    graph: Graph,
    stack: str,
    modules: Modules,
    config: ModelConfig,
    operands: Mapping[str, list[Operand]],
) -> None:
    """Evaluates a stack's graph on a few tokens, with stand-ins for its weights.

    Args:
        graph: the file of that stack.
        stack: "encoder" or "decoder".
        modules: where the graph has the stack's modules.
        config: the architecture.
        operands: where the graph reads each weight and bias, by canonical name.

    Raises:
        UnsupportedModelError: it computes something else; names the node.
        MemoryError: there is too little.
    """
    reserve(_PRODUCTS).close()
    surrogates = _surrogates(modules, config, operands)
    wiring = Wiring(graph, surrogates)
    in_half = _computes_in_half(graph)
    checking = _Checking(graph, stack, modules, config, surrogates, wiring, in_half)
    try:
        try:
            checking.check(_TEXTS)
        except EvaluationError:  # some graphs take one text only, as by the mask of mobius' BERT
            checking.check(1)
    except EvaluationError as error:
        node = error.node
        where = f"{node.op_type} {node.name!r}" if node else "the graph"
        raise UnsupportedModelError(
            f"{graph.path.name}: {where} cannot be evaluated: {error}"
        ) from None
    except Error:
        raise
    except (ArithmeticError, IndexError, ValueError) as error:  # of sizes that contradict another
        raise UnsupportedModelError(
            f"{graph.path.name}: config.json says what cannot be computed: {error}"
        ) from None


@dataclass(frozen=True)
class _Checking:
    """See check_computation."""

    graph: Graph
    stack: str
    modules: Modules
    config: ModelConfig
    surrogates: Surrogates
    wiring: Wiring
    computes_in_half: bool

    def check(self, num_texts: int) -> None:
        """Compare on so many texts; raises EvaluationError too."""
        probe = make_probe(self.graph, self.stack, self.config, num_texts, _LENGTH)
        definition = self._definition()
        expected = definition.output(*probe.given)
        runs = [self._compare(probe, None, None, definition, expected)]
        self._check_present(runs[0], probe, None, definition)
        if has_known_past(self.graph) and probe.ids.shape[1] > 1:
            past = definition.keys_values
            runs.append(self._compare(probe, past, None, definition, expected))
            self._check_present(runs[1], probe, past, definition)
        self._check_long(runs)

    def _check_present(
        self, run: Interpreter, probe: Probe, past: KeysValues | None, definition: Definition
    ) -> None:
        """The keys and values that the graph gives back; those of an encoder only the first time,
        as decoders that are given them may give back anything."""
        for name in self.graph.root.outputs:
            expected = cached(name, definition.keys_values)
            if expected is None or (past is not None and is_of_encoder(name)):
                continue
            found = run.evaluate(Value(self.graph.root, name))
            mask = probe.memory.mask if probe.memory and is_of_encoder(name) else probe.mask
            counted = np.broadcast_to(mask[:, None] == 1, expected.shape[:3])
            problem = self._difference(found, expected, counted)
            if problem is not None:
                node = self.graph.root.producers.get(name)
                where = f"{node.op_type} {node.name!r}" if node else "the graph"
                raise self._refuse(where, name, problem)

    def _check_long(self, runs: list[Interpreter]) -> None:
        """The first layer on a long text, for its mask and positions.

        Args:
            runs: on a short one, without past and with it, which show the nodes that are used.
        """
        is_relative = self.config.position_kind == "relative"
        if is_relative and self.computes_in_half:
            return  # its buckets differ, where the logarithm of a distance is a whole number
        length = _LONG_RELATIVE if is_relative else _LONG
        probe = make_probe(self.graph, self.stack, self.config, 1, length)
        if probe.ids.shape[1] <= _LENGTH:
            return
        definition, name = self._definition(), f"{self.stack}.layers.0.fc1"
        expected = definition.entering(name, *probe.given)
        inputs = [input_of(node, 0) for node in self.modules.nodes(name) if is_product(node)]
        for past, run in zip((None, definition.keys_values), runs, strict=False):
            entering = next((x for x in inputs if run.evaluated(x) is not None), None)
            if entering is not None:
                self._compare(probe, past, entering, definition, expected)

    def _definition(self) -> Definition:
        return Definition(self.config, self.stack, self.surrogates.by_name)

    def _compare(
        self,
        probe: Probe,
        past: KeysValues | None,
        value: Value | None,
        definition: Definition,
        expected: np.ndarray,
    ) -> Interpreter:
        """Evaluate `value`, or the result, for all of the probe, or given its past for the end."""
        inputs = probe.inputs(self.graph, self.config, past)
        interpreter = Interpreter(self.wiring, inputs)
        value = value or self._result(interpreter, expected.size)
        found = interpreter.evaluate(value)
        mask = probe.mask
        if past is not None:
            expected, mask = expected[:, -1:], mask[:, -1:]
        counted = mask == 1 if expected.ndim == 3 else np.ones(len(expected), bool)
        problem = self._difference(found, expected, counted)
        if problem is None:
            return interpreter
        steps = definition.steps
        if past is not None:
            steps = [*steps, *(step[..., -1:, :] for step in steps)]
        suspect = find_suspect(self.graph, interpreter, steps, mask)
        raise self._refuse(suspect, value.name, problem)

    def _difference(self, found: Any, expected: np.ndarray, counted: np.ndarray) -> str | None:
        """How a result differs in the rows that are counted; None if it is near enough."""
        if np.size(found) != expected.size:
            return f"of shape {list(np.shape(found))}, expected {list(expected.shape)}"
        rows = found.reshape(expected.shape)[counted]
        difference = relative_difference(rows, expected[counted])
        if difference <= (_HALF_TOLERANCE if self.computes_in_half else TOLERANCE):
            return None
        return f"off by {difference:.2g} of its largest number"

    def _refuse(self, suspect: str, name: str, problem: str) -> UnsupportedModelError:
        return UnsupportedModelError(
            f"{self.graph.path.name}: {suspect} does not compute what config.json says: "
            f"{name!r} is {problem}"
        )

    def _result(self, interpreter: Interpreter, size: int) -> Value:
        """The graph's output; of a decoder, what enters the product that gives it."""
        name = output_name(self.stack, self.config)
        if self.stack == "encoder":
            outputs = [Value(self.graph.root, output) for output in self.graph.root.outputs]
            named = [output for output in outputs if output.name == name]
            # Sentence-transformers' exports call it token_embeddings, and have others.
            fits = (x for x in outputs if np.size(interpreter.evaluate(x)) == size)
            return named[0] if named else next(fits, outputs[0])
        logits = interpreter.taken(Value(self.graph.root, name))
        part = linear(logits)
        if part is None:
            raise EvaluationError(logits.producer, "it gives the logits, and is no product")
        return part.input


def _surrogates(
    modules: Modules, config: ModelConfig, operands: Mapping[str, list[Operand]]
) -> Surrogates:
    surrogates = Surrogates()
    for name, module in modules.by_name.items():
        if name == "lm_head":
            continue
        kind = module.row.kind
        shape = tuple(getattr(config, size) for size in module.row.shape)
        weights = operands[f"{name}.weight"]
        if kind is Kind.ANGLES:
            surrogates.by_name[f"{name}.weight"] = weights[0].values().reshape(shape)
            continue
        surrogates.add(f"{name}.weight", kind, shape, weights, _scale(name, config))
        if biases := operands.get(f"{name}.bias"):
            surrogates.add(f"{name}.bias", kind, shape[-1:], biases)
    return surrogates


def _scale(name: str, config: ModelConfig) -> float:
    """So that the scores of attention are of the order of 1: where they are large, one key takes
    all, and it makes no difference what is done with the others."""
    stack, module = name.partition(".")[0], name.rpartition(".")[2]
    if module == "embed_tokens":
        return 1 / config.embed_scale
    if module not in ("q_proj", "k_proj", "qkv_proj"):
        return 1.0
    head_dim = getattr(config, f"{stack}_head_dim")
    return _SMALLER if config.scale_attention else _SMALLER * head_dim**-0.25


def _computes_in_half(graph: Graph) -> bool:
    """Whether the numbers that a graph computes with have 16 bits."""
    halves = ("float16", "bfloat16")
    return any(c.size == 1 and c.type_name in halves for c in graph.constants())


def output_name(stack: str, config: ModelConfig) -> str:
    """What the graph's output is called."""
    return "logits" if stack == "decoder" or config.classifies else "last_hidden_state"


def relative_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest of a row: max |found - expected| / max |expected|; NaN counts as infinite."""
    errors = np.abs(found - expected).max(-1) / np.abs(expected).max(-1)
    return float(np.nan_to_num(errors, nan=np.inf).max(initial=0))
