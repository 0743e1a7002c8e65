"""Benchmark of a model folder against onnxruntime: ``pyengine bench``."""
