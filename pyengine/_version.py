"""The version; pyproject.toml says the same (a test compares them).

``importlib.metadata`` would know it too, but its import takes longer than the rest of pyengine's.
"""

__version__ = "0.1.0"
