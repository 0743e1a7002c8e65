// The head of a model that classifies whole sentences.
#pragma once

#include "model/operators.h"

namespace pyengine {

// class_logits [num_rows, num_labels] of the hidden states of first tokens, first [num_rows, hidden_size].
void classify(const Runtime& runtime, const ModelConfig& config, const ClassifierWeights& weights,
              const float* first, int num_rows, float* class_logits);

}  // namespace pyengine
