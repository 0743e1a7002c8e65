"""Graphs evaluated in NumPy on a few tokens, against what their family computes.

`check_computation` is called once for every graph that is read from its ONNX file. Weights are
replaced by small stand-ins, so that it costs a few milliseconds whatever the size of the model.
"""

from pyengine.models.evaluation.check import check_computation

__all__ = ["check_computation"]
