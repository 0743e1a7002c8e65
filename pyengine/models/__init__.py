"""Reading model folders: `read_model(folder)` gives a configuration and named tensors."""

from pyengine.models.config import ModelConfig
from pyengine.models.model import read_model
from pyengine.models.reader import ModelFolder, read_folder

__all__ = ["ModelConfig", "ModelFolder", "read_folder", "read_model"]
