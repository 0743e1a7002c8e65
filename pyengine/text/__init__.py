"""Text to token ids and back, for every kind of tokenizer file that a model folder may hold."""

from pyengine.text.load import load_tokenizer
from pyengine.text.tokenizer import Tokenizer

__all__ = ["Tokenizer", "load_tokenizer"]
