"""The Transformer of "Attention Is All You Need" (Vaswani et al., 2017), beside the paper.

Sections of the paper and where they live: 3.1 `layers.py` and `model.py`, 3.2 `attention.py`,
3.3 `layers.py`, 3.4 `embedding.py`, 3.5 `embedding.py`, 5.1 `data.py`, 5.3 `schedule.py`,
5.4 `loss.py`, 6.1 `average.py` and `search.py`. `ssru.py` is another paper's: recurrence in the
decoder in place of self-attention. Run the scripts from the repository root, for
example `python -m tools.reference.train --help`.
"""
