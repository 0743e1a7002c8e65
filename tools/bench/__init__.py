"""Our own benchmark suites, built on ``pyengine.bench``: ``python -m tools.bench --help``."""
