"""Reading model folders: `read_model(folder)` gives a configuration and named tensors."""

from pyengine.models.config import ModelConfig
from pyengine.models.reader import ModelFolder, read_folder, read_model, read_tensors

__all__ = ["ModelConfig", "ModelFolder", "read_folder", "read_model", "read_tensors"]
