#include "model/vocabulary.h"

#include <algorithm>
#include <limits>

namespace pyengine {
namespace {

// Columns reduced at once. A constant, because the order of the sums must depend on nothing else; 512 columns
// of 128 rows are 256 KB, which stays in a second-level cache between the product and its reduction.
constexpr int kRunWidth = 512;
static_assert(kRunWidth % kPanelWidth == 0);

// Rows projected at once.
constexpr int kRowBlock = 128;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// The reductions of a block of rows over the runs of columns.
struct Reductions {
  int num_runs;
  int top_k;             // the largest of the block's queries
  MaxSum* sums;          // [rows][num_runs]
  float* values;         // [rows][num_runs][top_k]
  std::int32_t* ids;     // [rows][num_runs][top_k]
  float* target_logits;  // [rows]
};

void ban(std::span<const std::int32_t> banned, std::int32_t first_id, int size, float* logits) {
  const auto begin = std::lower_bound(banned.begin(), banned.end(), first_id);
  for (auto id = begin; id != banned.end() && *id < first_id + size; ++id)
    logits[*id - first_id] = kMinusInfinity;
}

// Takes from logits [size], the columns of run `run`, what `query` asks of its row.
void reduce_run(const Kernels& kernels, const VocabularyQuery& query, int row, int run, int size,
                float* logits, const Reductions& reductions) {
  const std::int32_t first_id = run * kRunWidth;
  if (query.logits != nullptr) std::copy_n(logits, size, query.logits + first_id);
  if (query.target >= first_id && query.target < first_id + size) {
    reductions.target_logits[row] = logits[query.target - first_id];
  }
  const std::size_t index = static_cast<std::size_t>(row) * reductions.num_runs + run;
  if (query.renormalize) ban(query.banned, first_id, size, logits);
  reductions.sums[index] = kernels.max_sum_exp(logits, size);
  if (query.top_k == 0) return;
  if (!query.renormalize) ban(query.banned, first_id, size, logits);
  float* values = reductions.values + index * reductions.top_k;
  std::int32_t* ids = reductions.ids + index * reductions.top_k;
  std::fill_n(values, query.top_k, kMinusInfinity);
  std::fill_n(ids, query.top_k, -1);
  kernels.top_k(logits, size, first_id, query.top_k, values, ids);
}

// Merges the best of each run, which come in ascending id order, into the best of the row.
void merge_top_k(const Reductions& reductions, int row, int top_k, float* values, std::int32_t* ids) {
  std::fill_n(values, top_k, kMinusInfinity);
  std::fill_n(ids, top_k, -1);
  for (int run = 0; run < reductions.num_runs; ++run) {
    const std::size_t begin = (static_cast<std::size_t>(row) * reductions.num_runs + run) * reductions.top_k;
    for (int i = 0; i < top_k && reductions.values[begin + i] > values[top_k - 1]; ++i) {
      int place = top_k - 1;
      for (; place > 0 && values[place - 1] < reductions.values[begin + i]; --place) {
        values[place] = values[place - 1];
        ids[place] = ids[place - 1];
      }
      values[place] = reductions.values[begin + i];
      ids[place] = reductions.ids[begin + i];
    }
  }
}

// Memory for a block of `num_rows` queries that want `top_k` candidates at most.
Reductions take_reductions(Workspace& workspace, int num_rows, int num_runs, int top_k) {
  const std::size_t count = static_cast<std::size_t>(num_rows) * num_runs;
  return {.num_runs = num_runs,
          .top_k = top_k,
          .sums = workspace.take<MaxSum>(count),
          .values = workspace.take<float>(count * top_k),
          .ids = workspace.take<std::int32_t>(count * top_k),
          .target_logits = workspace.take<float>(num_rows)};
}

// scratch [threads][queries.size()][kRunWidth].
void project_block(const Runtime& runtime, const Linear& lm_head, const float* hidden,
                   std::span<const VocabularyQuery> queries, const Reductions& reductions, float* scratch,
                   VocabularyResult* results) {
  Workspace& workspace = runtime.workspace;
  const int num_rows = static_cast<int>(queries.size());
  std::fill_n(reductions.target_logits, num_rows, kMinusInfinity);

  runtime.pool.run(reductions.num_runs, runtime.num_threads, [&](int run, int thread) {
    const int first_column = run * kRunWidth;
    GemmArgs args;
    args.input = hidden;
    args.input_stride = lm_head.in_features;
    args.num_rows = num_rows;
    args.depth = lm_head.in_features;
    args.panels = lm_head.panels.data() + static_cast<std::int64_t>(first_column) * lm_head.in_features;
    args.num_columns = std::min(kRunWidth, lm_head.out_features - first_column);
    args.bias = lm_head.bias.data() + first_column;
    args.activation = Activation::kNone;
    args.residual = nullptr;
    args.output = scratch + static_cast<std::size_t>(thread) * num_rows * kRunWidth;
    args.output_stride = kRunWidth;
    runtime.kernels.gemm_f32(args);
    for (int row = 0; row < num_rows; ++row) {
      reduce_run(runtime.kernels, queries[row], row, run, args.num_columns, args.output + row * kRunWidth,
                 reductions);
    }
  });

  for (int row = 0; row < num_rows; ++row) {
    const int top_k = queries[row].top_k;
    float* values = workspace.take<float>(top_k);
    std::int32_t* ids = workspace.take<std::int32_t>(top_k);
    if (top_k > 0) merge_top_k(reductions, row, top_k, values, ids);
    const MaxSum* sums = reductions.sums + static_cast<std::size_t>(row) * reductions.num_runs;
    results[row] = {runtime.kernels.log_sum_exp(sums, reductions.num_runs), reductions.target_logits[row],
                    values, ids};
  }
}

}  // namespace

void project_to_vocabulary(const Runtime& runtime, const Linear& lm_head, const float* hidden,
                           std::span<const VocabularyQuery> queries, VocabularyResult* results) {
  const std::size_t block = std::min<std::size_t>(kRowBlock, queries.size());
  int top_k = 0;
  for (const VocabularyQuery& query : queries) top_k = std::max(top_k, query.top_k);
  const int num_runs = (lm_head.out_features + kRunWidth - 1) / kRunWidth;
  const Reductions reductions = take_reductions(runtime.workspace, static_cast<int>(block), num_runs, top_k);
  float* scratch = runtime.workspace.take<float>(runtime.num_threads * block * kRunWidth);
  for (std::size_t first = 0; first < queries.size(); first += block) {
    const std::size_t count = std::min(block, queries.size() - first);
    project_block(runtime, lm_head, hidden + first * lm_head.in_features, queries.subspan(first, count),
                  reductions, scratch, results + first);
  }
}

}  // namespace pyengine
