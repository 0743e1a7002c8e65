#include "model/vocabulary.h"

#include <algorithm>
#include <cmath>
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
  float* floors;         // [threads][rows] see reduce_run
};

// Logits of one row in one run of columns.
struct Run {
  int index;
  std::int32_t first_id;
  int size;
  float* logits;  // [size]
};

void ban(std::span<const std::int32_t> banned, const Run& run) {
  const auto begin = std::lower_bound(banned.begin(), banned.end(), run.first_id);
  for (auto id = begin; id != banned.end() && *id < run.first_id + run.size; ++id) {
    run.logits[*id - run.first_id] = kMinusInfinity;
  }
}

// Takes from a run what `query` asks of its row. `floor` is the k-th best of a run that this thread has seen.
void reduce_run(const Kernels& kernels, const VocabularyQuery& query, const Run& run, int row,
                const Reductions& reductions, float& floor) {
  if (query.logits != nullptr) std::copy_n(run.logits, run.size, query.logits + run.first_id);
  if (query.target >= run.first_id && query.target < run.first_id + run.size) {
    reductions.target_logits[row] = run.logits[query.target - run.first_id];
  }
  const std::size_t index = static_cast<std::size_t>(row) * reductions.num_runs + run.index;
  if (query.renormalize) ban(query.banned, run);
  if (query.log_sum_exp) reductions.sums[index] = kernels.max_sum_exp(run.logits, run.size);
  if (query.top_k == 0) return;
  if (!query.renormalize) ban(query.banned, run);
  // As many candidates as are wanted reach the floor, so what is below can be left out: the list starts full,
  // just below it, and takes 25 ns a run of ten candidates instead of 194 (AVX-512). What is left out depends
  // on what this thread has seen; the best after the merge, which all reach every floor, do not.
  float* values = reductions.values + index * reductions.top_k;
  std::int32_t* ids = reductions.ids + index * reductions.top_k;
  std::fill_n(values, query.top_k, std::nextafter(floor, kMinusInfinity));
  std::fill_n(ids, query.top_k, -1);
  kernels.top_k(run.logits, run.size, run.first_id, query.top_k, values, ids);
  floor = std::max(floor, values[query.top_k - 1]);
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
Reductions take_reductions(const Runtime& runtime, int num_rows, int num_runs, int top_k) {
  Workspace& workspace = runtime.workspace;
  const std::size_t count = static_cast<std::size_t>(num_rows) * num_runs;
  return {.num_runs = num_runs,
          .top_k = top_k,
          .sums = workspace.take<MaxSum>(count),
          .values = workspace.take<float>(count * top_k),
          .ids = workspace.take<std::int32_t>(count * top_k),
          .target_logits = workspace.take<float>(num_rows),
          .floors = workspace.take<float>(static_cast<std::size_t>(runtime.num_threads) * num_rows)};
}

// scratch [threads][queries.size()][kRunWidth].
void project_block(const Runtime& runtime, const Linear& lm_head, const float* hidden,
                   std::span<const VocabularyQuery> queries, const Reductions& reductions, float* scratch,
                   VocabularyResult* results) {
  Workspace& workspace = runtime.workspace;
  const int num_rows = static_cast<int>(queries.size());
  std::fill_n(reductions.target_logits, num_rows, kMinusInfinity);
  std::fill_n(reductions.floors, runtime.num_threads * num_rows, kMinusInfinity);

  // One run of columns for all rows: product, then its reductions.
  const auto project_run = [&](const auto& panels, const auto& rows, int run, int thread) {
    const int first_column = run * kRunWidth;
    const GemmArgs args{.num_rows = num_rows,
                        .depth = lm_head.in_features,
                        .num_columns = std::min(kRunWidth, lm_head.out_features - first_column),
                        .bias = lm_head.bias.data() + first_column,
                        .activation = Activation::kNone,
                        .residual = nullptr,
                        .output = scratch + static_cast<std::size_t>(thread) * num_rows * kRunWidth,
                        .output_stride = kRunWidth};
    multiply_block(runtime.kernels, panels, rows, 0, first_column, args);
    for (int row = 0; row < num_rows; ++row) {
      reduce_run(runtime.kernels, queries[row],
                 {run, first_column, args.num_columns, args.output + row * kRunWidth}, row, reductions,
                 reductions.floors[thread * num_rows + row]);
    }
  };
  std::visit(
      [&](const auto& panels) {
        const auto rows = prepare_rows(runtime, panels, hidden, num_rows, lm_head.in_features);
        runtime.pool.run(reductions.num_runs, runtime.num_threads,
                         [&](int run, int thread) { project_run(panels, rows, run, thread); });
      },
      lm_head.panels);

  for (int row = 0; row < num_rows; ++row) {
    const int top_k = queries[row].top_k;
    float* values = workspace.take<float>(top_k);
    std::int32_t* ids = workspace.take<std::int32_t>(top_k);
    if (top_k > 0) merge_top_k(reductions, row, top_k, values, ids);
    const MaxSum* sums = reductions.sums + static_cast<std::size_t>(row) * reductions.num_runs;
    const float log_sum_exp = queries[row].log_sum_exp
                                  ? runtime.kernels.log_sum_exp(sums, reductions.num_runs)
                                  : std::numeric_limits<float>::quiet_NaN();
    results[row] = {log_sum_exp, reductions.target_logits[row], values, ids};
  }
}

}  // namespace

void project_to_vocabulary(const Runtime& runtime, const Linear& lm_head, const float* hidden,
                           std::span<const VocabularyQuery> queries, VocabularyResult* results) {
  const std::size_t block = std::min<std::size_t>(kRowBlock, queries.size());
  int top_k = 0;
  for (const VocabularyQuery& query : queries) top_k = std::max(top_k, query.top_k);
  const int num_runs = (lm_head.out_features + kRunWidth - 1) / kRunWidth;
  const Reductions reductions = take_reductions(runtime, static_cast<int>(block), num_runs, top_k);
  float* scratch = runtime.workspace.take<float>(runtime.num_threads * block * kRunWidth);
  for (std::size_t first = 0; first < queries.size(); first += block) {
    const std::size_t count = std::min(block, queries.size() - first);
    project_block(runtime, lm_head, hidden + first * lm_head.in_features, queries.subspan(first, count),
                  reductions, scratch, results + first);
  }
}

}  // namespace pyengine
