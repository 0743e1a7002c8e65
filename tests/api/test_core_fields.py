"""The core's structs carry every field of the records that Python makes them of, and no other."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, replace
from typing import Any, TypeAlias

import numpy as np
import pytest

from pyengine import GenerationOptions, OptionError, Translator, _core
from pyengine.cache import core_config
from pyengine.generation_options import CHECKS, SAMPLING_CHECKS
from pyengine.models import ModelConfig
from pyengine.option_values import Given, ModelLimits
from pyengine.options import resolve_options, to_core

Record: TypeAlias = GenerationOptions | ModelConfig

PLAIN: list[Record] = [
    GenerationOptions(max_length=2, decoder_start_token_id=0, seed=0),
    ModelConfig(
        hidden_size=8,
        max_positions=4,
        activation="relu",
        normalize_before=False,
        embed_scale=1.0,
        norm_eps=1e-5,
    ),
]
ONLY_IN_CORE = {"return_scores"}

ANOTHER_VALUE = {
    "int": 7,
    "int | None": 7,
    "float": 0.25,
    "bool | str": "never",
    "tuple[int, ...]": (3, 4),
    "tuple[tuple[int, ...], ...]": ((3, 4), (5,)),
}
"""By the type of a field."""

ANOTHER_NAME = {
    "activation": "gelu_tanh",
    "classifier_activation": "tanh",
    "decoder_kind": "ssru",
    "norm_kind": "rms_norm",
    "position_kind": "relative",
}


def to_the_core(record: Record) -> Any:
    return core_config(record) if isinstance(record, ModelConfig) else to_core(record)


def values(core: object) -> dict[str, Any]:
    names = {name for name in vars(type(core)) if not name.startswith("_")} - ONLY_IN_CORE
    return {name: as_tuples(getattr(core, name)) for name in names}


def as_tuples(value: Any) -> Any:
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def another_value(record: Record, item: Field[Any]) -> Any:
    if item.type in ("bool", bool):
        return not getattr(record, item.name)
    name = item.type if isinstance(item.type, str) else item.type.__name__
    return ANOTHER_NAME[item.name] if name == "str" else ANOTHER_VALUE[name]


@pytest.mark.parametrize("plain", PLAIN, ids=lambda record: type(record).__name__)
def test_the_fields_are_those_of_the_record(plain: Record) -> None:
    assert values(to_the_core(plain)).keys() == {item.name for item in fields(plain)}


@pytest.mark.parametrize(
    ("plain", "item"),
    [
        pytest.param(plain, item, id=f"{type(plain).__name__}.{item.name}")
        for plain in PLAIN
        for item in fields(plain)
    ],
)
def test_each_field_arrives_and_changes_no_other(plain: Record, item: Field[Any]) -> None:
    value = another_value(plain, item)
    expected = {**values(to_the_core(plain)), item.name: value}
    assert values(to_the_core(replace(plain, **{item.name: value}))) == expected


@pytest.mark.parametrize("plain", PLAIN, ids=lambda record: type(record).__name__)
def test_defaults_are_the_same(plain: Record) -> None:
    core = values(type(to_the_core(plain))({}))
    for item in fields(plain):
        if item.default not in (MISSING, None):
            assert core[item.name] == item.default, item.name


def test_what_the_options_carry_besides() -> None:
    plain = PLAIN[0]
    assert isinstance(plain, GenerationOptions)
    assert [to_core(plain, wanted).return_scores for wanted in (False, True)] == [False, True]
    assert [to_core(replace(plain, early_stopping=x)).early_stopping for x in (False, True)] == [
        False,
        True,
    ]
    assert to_core(plain).forced_bos_token_id == -1
    sampled = replace(plain, do_sample=True, seed=None)
    assert len({to_core(sampled).seed for _ in range(9)}) == 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_beam": 4}, "found 'num_beam', which is no field"),
        ({"num_beams": "4"}, "num_beams is '4', expected another type"),
        ({"num_beams": 2.5}, "num_beams is 2.5, expected another type"),
        ({"eos_token_id": [1, "2"]}, r"eos_token_id is \[1, '2'\], expected another type"),
        ({"early_stopping": "soon"}, "early_stopping is another text, expected False, True or"),
    ],
)
def test_what_is_no_option_of_the_core(change: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        _core.GenerationOptions({**vars(PLAIN[0]), **change})


def accepts(engine: _core.Engine, options: GenerationOptions) -> bool:
    ids, offsets = np.array([5, 0], np.int32), np.array([0, 2], np.int64)
    try:
        engine.generate(ids, offsets, to_core(options), 1)
    except (TypeError, ValueError):
        return False
    return True


@pytest.mark.parametrize("name", {**CHECKS, **SAMPLING_CHECKS})
def test_the_limits_are_the_same(name: str, ids_translator: Translator) -> None:
    config = ids_translator.config
    limits = ModelLimits(config.vocab_size, config.max_positions)
    last = config.vocab_size - 1
    edges: dict[str, tuple[Any, ...]] = {
        "int": (-2, 0, 1, 2, 1024, 1025),
        "int | None": (-2, 0, last, last + 1),
        "float": (-1e-9, 0.0, 9e-7, 1e-6, 1.0, 1.01, 1e6, 1.1e6, float("inf")),
        "tuple[int, ...]": ((), (0, last), (3, last + 1), (-2,)),
        "tuple[tuple[int, ...], ...]": (((3, last),), ((3, last + 1),), ((-2,),)),
        "bool": (False, True),
        "bool | str": (False, True, "never", "soon"),
    }
    samples = name in SAMPLING_CHECKS or name == "num_return_sequences"
    options = GenerationOptions(max_length=2, decoder_start_token_id=0, do_sample=samples)
    (kind,) = (item.type for item in fields(options) if item.name == name)
    for value in edges[str(kind)]:
        given = Given({name: value}, frozenset((name,)))
        try:
            given.value(name, {**CHECKS, **SAMPLING_CHECKS}[name], limits)
            expected = True
        except OptionError:
            expected = False
        found = accepts(ids_translator.engine, replace(options, **{name: value}))
        assert found == expected, (name, value)


def test_what_is_no_name_of_a_kind() -> None:
    expected = "norm_kind is 'batch_norm', expected one of layer_norm, rms_norm"
    with pytest.raises(ValueError, match=expected):
        _core.ModelConfig({**vars(PLAIN[1]), "norm_kind": "batch_norm"})


@pytest.mark.parametrize("name", ["min_length", "min_new_tokens"])
@pytest.mark.parametrize("prompted", [False, True])
def test_the_largest_minimum(name: str, prompted: bool) -> None:
    largest = 2**31 - 1
    limits = ModelLimits(vocab_size=100, max_positions=64, prompted=prompted)
    file = {} if prompted else {"decoder_start_token_id": 99}
    core = to_core(resolve_options(file, {name: largest}, limits))
    assert max(core.min_length, core.min_added_tokens) == largest
    with pytest.raises(OptionError, match=f"{name}: found {largest + 1}, expected an integer"):
        resolve_options(file, {name: largest + 1}, limits)
