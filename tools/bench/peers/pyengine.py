"""pyengine; ``job.settings`` are keywords of ``Translator``."""

from pyengine.bench.worker import load_pyengine as load

__all__ = ["load"]
