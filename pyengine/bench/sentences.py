"""What is verified or measured when the user gives no text: English sentences, random ids.

The sentences were written for this project; 4 to 45 words, everyday subjects, numbers, names and
punctuation.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyengine.bench.onnxruntime_loop import GREEDY

if TYPE_CHECKING:
    from pyengine.translator import Translator

DEFAULT_SENTENCES = (
    "A man is riding a bicycle.",
    "Two women talk in front of a small shop.",
    "The train to Hamburg leaves at 7:45 from platform 12.",
    "Children are playing football in the park while their parents watch from a bench.",
    "I would like to change my booking, please.",
    "Where is the nearest pharmacy?",
    "The committee will publish its report on the safety of the bridge before the end of March.",
    "She closed the window because it had started to rain.",
    "If you press the red button, the machine stops at once and a lamp on the panel blinks.",
    "A brown dog runs across the beach with a stick in its mouth.",
    "The price of bread rose by 3.5 percent last year, more than in any year since 1994.",
    "Thank you very much for your help!",
    "The museum, which was closed for two years, opened its doors again on Saturday morning.",
    "He could not remember whether he had locked the door.",
    "Researchers at the university have developed a material that stores heat during the day and "
    "gives it off slowly at night, so that houses built with it need much less energy in winter.",
    "An old woman sells flowers at the corner of the street.",
    "Please read the instructions carefully before you use the device for the first time.",
    "Three people in yellow jackets repair a road at night.",
    "The film tells the story of a young doctor who moves to a village in the mountains.",
    "We arrived late, but the concert had not begun yet.",
    "According to the police, nobody was injured when a lorry left the motorway near the airport "
    "and came to a halt in a field.",
    "A girl in a blue dress jumps into the water.",
    "The new law applies to all companies with more than fifty employees, whether they make goods, "
    "sell them or offer services to other companies.",
    "My brother works as an engineer in Rotterdam.",
    "Can you tell me how much this costs without the delivery?",
    "The cook cuts onions and carrots and puts them into a large pot.",
    "After the storm, thousands of households were without electricity for several hours.",
    "A crowd watches a street musician who plays the violin and the drums at the same time.",
    "The book has been translated into more than thirty languages.",
    "Keep the medicine in a dry place, out of the reach of children, and do not use it after the "
    "date printed on the package; ask your doctor if you are not sure how much to take.",
    "A group of hikers rests beside a lake.",
    "It is not the first time that the two parties fail to agree on a budget, and few people here "
    "believe that it will be the last.",
)


def random_ids(length: int, vocab_size: int, rng: random.Random) -> list[int]:
    """So many ids below ``vocab_size``."""
    return [rng.randrange(vocab_size) for _ in range(length)]


def random_sources(
    translator: Translator, lengths: Iterable[int], rng: random.Random
) -> list[list[int]]:
    """Random ids of the source vocabulary, ended as the tokenizer would end them.

    ``lengths`` are in tokens, the end token included, and cut to the model's positions.
    """
    end = list(translator.generation_options(**GREEDY).eos_token_id[:1])
    size = translator.config.source_vocab_size
    counts = [min(length, translator.max_source_length) - len(end) for length in lengths]
    return [random_ids(count, size, rng) + end for count in counts]
