#include "model/relative_bias.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/check.h"

namespace pyengine {
namespace {

// The bucket of a distance >= 0 out of num_buckets: half of them hold one distance each, the others grow
// with its logarithm. In float as transformers computes it, so that the borders are the same.
int bucket_of(int distance, int num_buckets, int max_distance) {
  const int num_exact = num_buckets / 2;
  if (distance < num_exact) return distance;
  const float ratio = std::log(static_cast<float>(distance) / static_cast<float>(num_exact));
  const auto range = static_cast<float>(std::log(static_cast<double>(max_distance) / num_exact));
  const float growth = ratio / range * static_cast<float>(num_buckets - num_exact);
  return std::min(num_exact + static_cast<int>(growth), num_buckets - 1);
}

// `distance` is the key's position less the query's.
int bucket_of(const ModelConfig& config, Sight sight, int distance) {
  const int num_buckets = config.relative_buckets, max_distance = config.relative_max_distance;
  if (sight == Sight::kBackwards) return bucket_of(-distance, num_buckets, max_distance);
  const int half = num_buckets / 2;
  return (distance > 0 ? half : 0) + bucket_of(std::abs(distance), half, max_distance);
}

}  // namespace

std::int64_t bias_row_size(const ModelConfig& config, Sight sight) {
  return sight == Sight::kBothWays ? 2 * std::int64_t{config.max_positions} - 1 : config.max_positions;
}

void fill_relative_bias(const ModelConfig& config, Sight sight, const TensorView& table, float* bias) {
  const std::int64_t num_heads = table.shape[1], size = bias_row_size(config, sight);
  for (std::int64_t i = 0; i < size; ++i) {
    const int bucket = bucket_of(config, sight, static_cast<int>(i) - (config.max_positions - 1));
    for (std::int64_t head = 0; head < num_heads; ++head) {
      bias[head * size + i] = table.data[bucket * table.strides[0] + head * table.strides[1]];
    }
  }
}

const float* const* bias_rows(const ModelConfig& config, const Array<float>& bias,
                              const std::int32_t* positions, int num_rows, Workspace& workspace) {
  if (bias.size() == 0) return nullptr;
  auto* rows = workspace.take<const float*>(num_rows);
  for (int row = 0; row < num_rows; ++row) {
    PE_DCHECK(positions[row] >= 0 && positions[row] < config.max_positions);
    rows[row] = bias.data() + config.max_positions - 1 - positions[row];
  }
  return rows;
}

}  // namespace pyengine
