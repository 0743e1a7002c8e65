"""The repository root on the import path, so that `tools.bench` is found."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
