#include "model/attention.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace pyengine {
namespace {

// Queries of a group that one task takes at most, and heads: what is left over from the kernel's own tiles of
// either costs little.
constexpr int kQueryTile = 16;
constexpr int kHeadTile = 4;

// Heads that share their keys and go to the kernel together at most.
constexpr int kMaxShared = 16;

struct Tile {
  const AttentionGroup* group;
  int first_row;
  int num_rows;
};

// What the calls for a tile have in common; `head` is of the keys.
AttentionArgs common_args(const AttentionOperands& operands, const Tile& tile, int head) {
  const KeyTable& keys = tile.group->keys;
  AttentionArgs args;
  args.head_dim = operands.head_dim;
  args.scale = operands.scale;
  args.segments = keys.segments.data();
  args.num_segments = static_cast<int>(keys.segments.size());
  args.key_offset = operands.key_offset + head * operands.key_head_stride;
  args.key_head_stride = operands.key_head_stride;
  args.values = keys.values.data();
  args.value_offset = operands.value_offset + head * operands.value_head_stride;
  args.value_head_stride = operands.value_head_stride;
  args.biases = nullptr;
  args.scores_stride = (static_cast<std::int64_t>(keys.values.size()) + kLanes - 1) / kLanes * kLanes;
  return args;
}

// Heads head ... of a tile, each with keys of its own.
void attend_heads(const AttentionOperands& operands, const Tile& tile, int head, float* scores) {
  const std::int64_t attention_size = static_cast<std::int64_t>(operands.num_heads) * operands.head_dim;
  const std::int64_t head_begin = static_cast<std::int64_t>(head) * operands.head_dim;
  AttentionArgs args = common_args(operands, tile, head);
  args.query = operands.query + tile.first_row * operands.query_stride + head_begin;
  args.query_stride = operands.query_stride;
  args.num_queries = tile.num_rows;
  args.num_heads = std::min(kHeadTile, operands.num_heads - head);
  args.num_keys = operands.num_keys + tile.first_row;
  args.biases = operands.biases ? operands.biases + tile.first_row : nullptr;
  args.bias_offset = head * operands.bias_head_stride;
  args.bias_head_stride = operands.bias_head_stride;
  args.scores = scores;
  args.output = operands.output + tile.first_row * attention_size + head_begin;
  args.output_stride = attention_size;
  operands.attention(args);
}

// The heads of a tile that share key head `head`: to the kernel they are several queries of one head.
void attend_shared(const AttentionOperands& operands, const Tile& tile, int head, float* scores) {
  const std::int64_t attention_size = static_cast<std::int64_t>(operands.num_heads) * operands.head_dim;
  const int num_shared = operands.num_heads / operands.num_key_value_heads;
  const std::int64_t head_begin = static_cast<std::int64_t>(head) * num_shared * operands.head_dim;
  std::int32_t num_keys[kMaxShared];
  AttentionArgs args = common_args(operands, tile, head);
  args.query_stride = args.output_stride = operands.head_dim;
  args.num_heads = 1;
  args.num_keys = num_keys;
  args.scores = scores;
  for (int row = tile.first_row; row < tile.first_row + tile.num_rows; ++row) {
    std::fill_n(num_keys, kMaxShared, operands.num_keys[row]);
    for (int first = 0; first < num_shared; first += kMaxShared) {
      const std::int64_t begin = head_begin + static_cast<std::int64_t>(first) * operands.head_dim;
      args.num_queries = std::min(kMaxShared, num_shared - first);
      args.query = operands.query + row * operands.query_stride + begin;
      args.output = operands.output + row * attention_size + begin;
      operands.attention(args);
    }
  }
}

// Whether each row of a group sees keys that it has.
[[maybe_unused]] bool sees_its_keys(const AttentionGroup& group, const std::int32_t* num_keys) {
  const std::int32_t* first = num_keys + group.first_row;
  return std::all_of(first, first + group.num_rows, [&](std::int32_t count) {
    return count >= 1 && count <= std::ssize(group.keys.values);
  });
}

}  // namespace

float attention_scale(const ModelConfig& config, int head_dim) {
  if (!config.scale_attention) return 1.0f;
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
}

void attend(const Runtime& runtime, std::span<const AttentionGroup> groups,
            const AttentionOperands& operands) {
  runtime.check();
  std::size_t max_tiles = 0, max_keys = 0;
  std::int64_t work = 0;
  PE_DCHECK(operands.num_heads % operands.num_key_value_heads == 0);
  for (const AttentionGroup& group : groups) {
    PE_DCHECK(sees_its_keys(group, operands.num_keys));
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

  const bool shared = operands.num_key_value_heads != operands.num_heads;
  const int head_step = shared ? 1 : kHeadTile;
  const int head_tiles = (operands.num_key_value_heads + head_step - 1) / head_step;
  const auto attend_tile = shared ? attend_shared : attend_heads;
  const int num_items = num_tiles * head_tiles;
  const int parts = num_parts(work, runtime.num_threads, num_items);
  runtime.pool.run(parts, runtime.num_threads, [&](int part, int thread) {
    for (int item = part_begin(num_items, part, parts); item < part_begin(num_items, part + 1, parts);
         ++item) {
      attend_tile(operands, tiles[item / head_tiles], item % head_tiles * head_step,
                  scores + thread * scores_size);
    }
  });
}

}  // namespace pyengine
