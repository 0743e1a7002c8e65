// Packed weights that lie in somebody else's memory, such as a mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "model/weights.h"

namespace pyengine {

// Weights whose arrays are parts of `bytes`, which `owner` keeps alive: that of number i, in
// the order of weight_plan.h, begins at offsets[i], and its size is what `config` and `type` ask for. The
// last one is the table of candidates where there is one. Nothing is read but the offsets. Throws
// std::invalid_argument if `config` is not sound, or if the offsets and the number of bytes are not what
// packing writes for it.
Weights map_weights(const ModelConfig& config, WeightType type, bool candidate_table,
                    std::shared_ptr<const void> owner, std::span<const std::byte> bytes,
                    std::span<const std::uint64_t> offsets);

}  // namespace pyengine
