"""The compiled ragged functions have the signatures of their plain twin."""

from pyengine._ragged_py import group as group
from pyengine._ragged_py import length_order as length_order
from pyengine._ragged_py import pack as pack
from pyengine._ragged_py import permute as permute
from pyengine._ragged_py import unpack as unpack
