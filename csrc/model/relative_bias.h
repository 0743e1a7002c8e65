// Relative positions as T5 has them: a learnt number for each head and bucket of distances, Raffel et al.
// 2020, section 2.1. At load a stack's table becomes one row for each head, indexed by the distance itself.
#pragma once

#include <cstdint>

#include "base/array.h"
#include "base/workspace.h"
#include "model/config.h"
#include "model/tensor_source.h"

namespace pyengine {

// The distances of keys from their query, which a stack sees.
enum class Sight { kBothWays, kBackwards };

// Entries of one head: distances -(max_positions - 1) ... 0, or as far forwards again.
std::int64_t bias_row_size(const ModelConfig& config, Sight sight);

// table [relative_buckets, heads] -> bias [heads][bias_row_size()].
void fill_relative_bias(const ModelConfig& config, Sight sight, const TensorView& table, float* bias);

// For each of num_rows queries at `positions`, where in head 0 of `bias` the number of its distance from
// position 0 lies, followed by those of positions 1, 2, ...; in memory of `workspace`. Null without a bias.
const float* const* bias_rows(const ModelConfig& config, const Array<float>& bias,
                              const std::int32_t* positions, int num_rows, Workspace& workspace);

}  // namespace pyengine
