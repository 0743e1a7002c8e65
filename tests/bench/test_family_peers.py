"""The peers of the families' suites give the same on every kind of model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from pyengine.bench.worker import Case, Job
from tools.bench.peers import FAMILY_ENGINES, onnxruntime_family, pyengine_family
from tools.bench.random_families import FAMILY_MODELS
from tools.bench.suites import FAMILIES, SUITES, family_sources

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SOURCES = [[5, 9, 33, 70, 8, 12], [40, 41, 42], [7, 6, 5, 4, 3], [50]]


@pytest.mark.parametrize("name", ["marian-split", "gpt2", "roberta"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_ours_and_theirs_are_equal(name: str, batch_size: int, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FIXTURES / name, tmp_path / name))
    file = folder / "generation_config.json"
    if file.is_file():  # the suites' models have special ids in it and no options
        known = json.loads(file.read_text())
        known.pop("forced_eos_token_id", None)
        file.write_text(json.dumps({x: known[x] for x in known if x.endswith("_token_id")}))
    case = Case("some", SOURCES, batch_size, 1, 7, 7)
    ours, theirs = (
        module.load(Job("", str(folder), 2, [case], settings))(SOURCES, case)
        for module, settings in ((pyengine_family, {"cache_dir": False}), (onnxruntime_family, {}))
    )
    assert ours == theirs
    lengths = [len(ids) for ids in ours]
    assert lengths == ([6, 3, 5, 1] if name == "roberta" else [7] * 4)


def test_every_family_is_a_suite_of_its_engines() -> None:
    names = [name for name in SUITES if SUITES[name].of_family]
    assert names == [f"{FAMILIES}/{name}" for name in FAMILY_MODELS]
    assert {engine.precision for engine in FAMILY_ENGINES} == {"float32"}


def test_family_sources() -> None:
    sources = family_sources(20, (3, 9))
    assert sources == family_sources(20, (3, 9))
    lengths = [len(source) for source in sources]
    assert lengths == sorted(lengths, reverse=True)
    assert 3 <= lengths[-1] and lengths[0] <= 9
    assert all(source[-1] == 2 and min(source[:-1]) > 2 for source in sources)
