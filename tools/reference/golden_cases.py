"""Sentences and option sets of the golden files; the sentences were written for this purpose."""

SENTENCES = (
    "Stop.",
    "Rain.",
    "A dog.",
    "Two girls laugh.",
    "A cat sleeps on a chair.",
    "An old man feeds the pigeons.",
    "Three boys are running through a field.",
    "The woman in the green coat opens an umbrella.",
    "A child draws with chalk on the street in summer.",
    "Nobody is waiting for the bus this morning.",
    "Two men are repairing the roof of a small white house.",
    "A street musician plays the violin in front of a bakery.",
    "A girl with long hair jumps over a puddle, and her brother watches.",
    "Several cyclists ride past a red car parked near the old town hall.",
    "Does the man with the beard really want to climb that tree?",
    "A chef in a white hat is slicing tomatoes while another one stirs a big pot.",
    "Seven people in life jackets sit in a yellow boat and wave at the camera.",
    "A brown dog with a stick in its mouth swims towards the shore of a quiet lake.",
    "In the evening, a couple walks slowly along the beach and talks about the next holiday.",
    "A young woman wearing glasses reads a newspaper at a table outside a café, next to an "
    "empty cup.",
    "The goalkeeper in the blue jersey dives to the left, but the ball hits the post and bounces "
    "back into the field.",
    "A crowd of people stands around a man who juggles four burning torches, while a little boy "
    "on his father's shoulders claps his hands.",
    "Workers in orange vests and yellow helmets are standing on a scaffold in front of a tall "
    "building, and one of them lowers a bucket on a rope to a man on the ground.",
    "On a cold winter day, a group of children in thick jackets pulls two wooden sleds up a steep "
    "snowy hill, while their teacher stands at the top with a camera and takes a picture of the "
    "frozen river behind them.",
)

PLAIN = {"max_length": 128, "length_penalty": 1.0, "early_stopping": False}


def case(name: str, **options) -> dict:
    """A named option set, complete but for what transformers leaves at neutral defaults."""
    return {"name": name, "options": PLAIN | options}


SEARCH_CASES = (
    case("greedy", num_beams=1),
    case("beam_2", num_beams=2),
    case("beam_4", num_beams=4),
    case("beam_5", num_beams=5),
    case("best_2_of_2", num_beams=2, num_return_sequences=2),
    case("best_4_of_4", num_beams=4, num_return_sequences=4),
    case("best_5_of_5", num_beams=5, num_return_sequences=5),
    case("penalty_0", num_beams=4, num_return_sequences=4, length_penalty=0.0),
    case("penalty_0.6", num_beams=4, num_return_sequences=4, length_penalty=0.6),
    case("penalty_2", num_beams=4, num_return_sequences=4, length_penalty=2.0),
    case("early_stopping", num_beams=4, num_return_sequences=4, early_stopping=True),
    case("early_stopping_never", num_beams=4, num_return_sequences=4, early_stopping="never"),
    case("never_penalty_0", num_beams=4, early_stopping="never", length_penalty=0.0),
    case("never_penalty_2", num_beams=4, early_stopping="never", length_penalty=2.0),
    case("max_length", num_beams=4, num_return_sequences=4, max_length=8),
    case("greedy_max_length", num_beams=1, max_length=8),
)

PROCESSOR_CASES = (
    case("greedy_min_length", num_beams=1, min_length=16),
    case("min_length", num_beams=4, num_return_sequences=2, min_length=16),
    case("greedy_forced_bos", num_beams=1, forced_bos_token_id=90),
    case("forced_bos", num_beams=4, num_return_sequences=2, forced_bos_token_id=90),
    case("greedy_forced_eos", num_beams=1, max_length=9, forced_eos_token_id=2),
    case("forced_eos", num_beams=4, max_length=9, forced_eos_token_id=2),
    case("greedy_suppress", num_beams=1, suppress_tokens=[0, 1, 3, 12, 61]),
    case("suppress", num_beams=4, num_return_sequences=2, suppress_tokens=[0, 1, 3, 12, 61]),
    case(
        "renormalize",
        num_beams=4,
        num_return_sequences=2,
        suppress_tokens=[0, 1, 3, 12, 61],
        renormalize_logits=True,
    ),
    case("begin_suppress", num_beams=4, begin_suppress_tokens=[27, 90, 156]),
    case("bad_words", num_beams=4, bad_words_ids=[[0], [12, 73]], renormalize_logits=True),
    case("no_repeat_ngram", num_beams=4, no_repeat_ngram_size=2),
    case("repetition_penalty", num_beams=1, repetition_penalty=1.3),
    case("max_new_tokens", num_beams=4, max_length=None, max_new_tokens=6, min_new_tokens=4),
)
