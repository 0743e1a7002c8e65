// Weights packed from the tensors of a model.
#pragma once

#include "model/tensor_source.h"
#include "model/weights.h"

namespace pyengine {

// Packs what a model of `config` holds, see weight_plan.h. `candidate_table`: what a shortlist needs too, see
// candidate_table_size(). Throws std::invalid_argument if `config` is not sound, or if a tensor is missing or
// has another shape than `config` asks for; and whatever reading one throws.
Weights pack_weights(const ModelConfig& config, WeightType type, TensorSource& tensors, bool candidate_table);

// The same of all tensors of a model: what is left over is an error too.
Weights load_weights(const ModelConfig& config, WeightType type, NamedTensors& tensors,
                     bool candidate_table = false);

// A number that stands for how such weights are packed: the checksum of a small model of the same kind,
// packed. Packed weights are kept in files, and those that were packed otherwise are not read.
std::uint32_t packed_layout(const ModelConfig& config, WeightType type, bool candidate_table);

}  // namespace pyengine
