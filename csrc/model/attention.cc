#include "model/attention.h"

#include <cmath>

namespace pyengine {
namespace {

// Queries of a group that one task takes at most, and heads: what is left over from the kernel's own tiles of
// either costs little.
constexpr int kQueryTile = 16;
constexpr int kHeadTile = 4;

struct Tile {
  const AttentionGroup* group;
  int first_row;
  int num_rows;
};

// Heads head ... of a tile.
AttentionArgs make_args(const AttentionOperands& operands, const Tile& tile, int head) {
  const std::int64_t hidden_size = static_cast<std::int64_t>(operands.num_heads) * operands.head_dim;
  const std::int64_t head_begin = static_cast<std::int64_t>(head) * operands.head_dim;
  const KeyTable& keys = tile.group->keys;
  AttentionArgs args;
  args.query = operands.query + tile.first_row * operands.query_stride + head_begin;
  args.query_stride = operands.query_stride;
  args.num_queries = tile.num_rows;
  args.num_heads = std::min(kHeadTile, operands.num_heads - head);
  args.head_dim = operands.head_dim;
  args.scale = operands.scale;
  args.num_keys = operands.num_keys + tile.first_row;
  args.segments = keys.segments.data();
  args.num_segments = static_cast<int>(keys.segments.size());
  args.key_offset = operands.key_offset + head * operands.key_head_stride;
  args.key_head_stride = operands.key_head_stride;
  args.values = keys.values.data();
  args.value_offset = operands.value_offset + head * operands.value_head_stride;
  args.value_head_stride = operands.value_head_stride;
  args.biases = operands.biases ? operands.biases + tile.first_row : nullptr;
  args.bias_offset = head * operands.bias_head_stride;
  args.bias_head_stride = operands.bias_head_stride;
  args.scores = nullptr;
  args.scores_stride = (static_cast<std::int64_t>(keys.values.size()) + kLanes - 1) / kLanes * kLanes;
  args.output = operands.output + tile.first_row * hidden_size + head_begin;
  args.output_stride = hidden_size;
  return args;
}

}  // namespace

float attention_scale(const ModelConfig& config, int head_dim) {
  if (!config.scale_attention) return 1.0f;
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
}

void attend(const Runtime& runtime, std::span<const AttentionGroup> groups,
            const AttentionOperands& operands) {
  std::size_t max_tiles = 0, max_keys = 0;
  std::int64_t work = 0;
  for (const AttentionGroup& group : groups) {
    max_tiles += (group.num_rows + kQueryTile - 1) / kQueryTile;
    max_keys = std::max(max_keys, group.keys.values.size());
    work += static_cast<std::int64_t>(group.num_rows) * group.keys.values.size();
  }
  work *= 2 * operands.num_heads * operands.head_dim;

  const Workspace::Scope scope(runtime.workspace);
  Tile* tiles = runtime.workspace.take<Tile>(max_tiles);
  int num_tiles = 0;
  for (const AttentionGroup& group : groups) {
    for (int row = 0; row < group.num_rows; row += kQueryTile) {
      tiles[num_tiles++] = {&group, group.first_row + row, std::min(kQueryTile, group.num_rows - row)};
    }
  }
  const std::size_t scores_size = kAttentionRows * ((max_keys + kLanes - 1) / kLanes * kLanes);
  float* scores = runtime.workspace.take<float>(scores_size * runtime.num_threads);

  const int head_tiles = (operands.num_heads + kHeadTile - 1) / kHeadTile;
  const int num_items = num_tiles * head_tiles;
  const int parts = num_parts(work, runtime.num_threads, num_items);
  runtime.pool.run(parts, runtime.num_threads, [&](int part, int thread) {
    for (int item = part_begin(num_items, part, parts); item < part_begin(num_items, part + 1, parts);
         ++item) {
      AttentionArgs args = make_args(operands, tiles[item / head_tiles], item % head_tiles * kHeadTile);
      args.scores = scores + thread * scores_size;
      operands.attention(args);
    }
  });
}

}  // namespace pyengine
