#include "model/classifier.h"

namespace pyengine {

void classify(const Runtime& runtime, const ModelConfig& config, const ClassifierWeights& weights,
              const float* first, int num_rows, float* class_logits) {
  const Workspace::Scope scope(runtime.workspace);
  float* pooled = runtime.workspace.take<float>(static_cast<std::size_t>(num_rows) * config.hidden_size);
  linear(runtime, weights.dense, first, num_rows, config.classifier_activation, nullptr, pooled);
  linear(runtime, weights.output, pooled, num_rows, Activation::kNone, nullptr, class_logits);
}

}  // namespace pyengine
