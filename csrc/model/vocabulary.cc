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

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kMinusInfinity = -kInfinity;

// The reductions of a block of rows over the runs of columns.
struct Reductions {
  int num_runs;
  int top_k;     // the largest of the block's queries
  MaxSum* sums;  // [rows][num_runs]
  int num_threads;
  float* values;         // [rows][threads][top_k] the best of the runs that a thread reduced
  std::int32_t* ids;     // [rows][threads][top_k]
  float* target_logits;  // [rows]

  std::size_t best(int row, int thread) const {
    return (static_cast<std::size_t>(row) * num_threads + thread) * top_k;
  }
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

// Takes from a run what `query` asks of its row. The best are those of all runs that this thread has seen,
// which come in ascending id order: after the first few runs little enters.
void reduce_run(const Kernels& kernels, const VocabularyQuery& query, const Run& run, int row, int thread,
                const Reductions& reductions) {
  if (query.logits != nullptr) std::copy_n(run.logits, run.size, query.logits + run.first_id);
  if (query.target >= run.first_id && query.target < run.first_id + run.size) {
    reductions.target_logits[row] = run.logits[query.target - run.first_id];
  }
  if (query.renormalize) ban(query.banned, run);
  float largest = kInfinity;  // of the run, or more
  if (query.log_sum_exp) {
    MaxSum& sum = reductions.sums[static_cast<std::size_t>(row) * reductions.num_runs + run.index];
    sum = kernels.max_sum_exp(run.logits, run.size);
    largest = sum.max;
  }
  if (query.top_k == 0) return;
  float* values = reductions.values + reductions.best(row, thread);
  if (largest <= values[query.top_k - 1]) return;
  if (!query.renormalize) ban(query.banned, run);
  kernels.top_k(run.logits, run.size, run.first_id, query.top_k, values,
                reductions.ids + reductions.best(row, thread));
}

// Merges what each thread found best into the best of the row.
void merge_top_k(const Reductions& reductions, int row, int top_k, float* values, std::int32_t* ids) {
  std::fill_n(values, top_k, kMinusInfinity);
  std::fill_n(ids, top_k, -1);
  for (int thread = 0; thread < reductions.num_threads; ++thread) {
    const std::size_t first = reductions.best(row, thread);
    for (std::size_t i = first; i < first + top_k; ++i) {
      const float value = reductions.values[i];
      const std::int32_t id = reductions.ids[i];
      const auto is_better = [&](int at) {
        return value > values[at] || (value == values[at] && id < ids[at]);
      };
      int place = top_k - 1;
      if (!is_better(place)) break;
      for (; place > 0 && is_better(place - 1); --place) {
        values[place] = values[place - 1];
        ids[place] = ids[place - 1];
      }
      values[place] = value;
      ids[place] = id;
    }
  }
}

// Memory for a block of `num_rows` queries that want `top_k` candidates at most.
Reductions take_reductions(const Runtime& runtime, int num_rows, int num_runs, int top_k) {
  Workspace& workspace = runtime.workspace;
  const std::size_t count = static_cast<std::size_t>(num_rows) * num_runs;
  const std::size_t num_best = static_cast<std::size_t>(num_rows) * runtime.num_threads * top_k;
  return {.num_runs = num_runs,
          .top_k = top_k,
          .sums = workspace.take<MaxSum>(count),
          .num_threads = runtime.num_threads,
          .values = workspace.take<float>(num_best),
          .ids = workspace.take<std::int32_t>(num_best),
          .target_logits = workspace.take<float>(num_rows)};
}

// scratch [threads][queries.size()][kRunWidth].
void project_block(const Runtime& runtime, const Linear& lm_head, const float* hidden,
                   std::span<const VocabularyQuery> queries, const Reductions& reductions, float* scratch,
                   VocabularyResult* results) {
  Workspace& workspace = runtime.workspace;
  const int num_rows = static_cast<int>(queries.size());
  std::fill_n(reductions.target_logits, num_rows, kMinusInfinity);
  std::fill_n(reductions.values, reductions.best(num_rows, 0), kMinusInfinity);
  std::fill_n(reductions.ids, reductions.best(num_rows, 0), -1);

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
                 {run, first_column, args.num_columns, args.output + row * kRunWidth}, row, thread,
                 reductions);
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
