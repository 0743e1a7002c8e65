#include "model/vocabulary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <variant>

#include "base/check.h"

namespace pyengine {
namespace {

// Columns reduced at once. A constant, because the order of the sums must depend on nothing else; 512 columns
// of 128 rows are 256 KB, which stays in a second-level cache between the product and its reduction.
constexpr int kRunWidth = 512;
static_assert(kRunWidth % kPanelWidth == 0);

// Rows projected at once at most.
constexpr int kRowBlock = 128;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kMinusInfinity = -kInfinity;

// The reductions of a block of rows over the runs of columns. Ids are columns here.
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

// Rows that are multiplied with the same columns, at most kRowBlock.
struct Block {
  const Linear* lm_head;
  std::span<const std::int32_t> ids;         // of its columns, as in VocabularyRows
  std::span<const VocabularyQuery> queries;  // [rows], their ids are columns
  int first_row;                             // in its batch of blocks
  int first_task;                            // in its batch: one task for each run
  Reductions reductions;

  int num_rows() const { return static_cast<int>(queries.size()); }
};

// Logits of one row in one run of columns.
struct Run {
  int index;
  std::int32_t first_id;
  int size;
  float* logits;  // [size]
};

void ban(const VocabularyQuery& query, const Run& run) {
  const auto begin = std::lower_bound(query.banned.begin(), query.banned.end(), run.first_id);
  for (auto id = begin; id != query.banned.end() && *id < run.first_id + run.size; ++id) {
    float& logit = run.logits[*id - run.first_id];
    if (query.banned_logits != nullptr) query.banned_logits[id - query.banned.begin()] = logit;
    logit = kMinusInfinity;
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
  if (query.renormalize) ban(query, run);
  float largest = kInfinity;  // of the run, or more
  if (query.log_sum_exp) {
    MaxSum& sum = reductions.sums[static_cast<std::size_t>(row) * reductions.num_runs + run.index];
    sum = kernels.max_sum_exp(run.logits, run.size);
    largest = sum.max;
  }
  if (query.top_k == 0) return;
  float* values = reductions.values + reductions.best(row, thread);
  if (largest <= values[query.top_k - 1]) return;
  if (!query.renormalize) ban(query, run);
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
  const Reductions reductions{.num_runs = num_runs,
                              .top_k = top_k,
                              .sums = workspace.take<MaxSum>(count),
                              .num_threads = runtime.num_threads,
                              .values = workspace.take<float>(num_best),
                              .ids = workspace.take<std::int32_t>(num_best),
                              .target_logits = workspace.take<float>(num_rows)};
  std::fill_n(reductions.values, num_best, kMinusInfinity);
  std::fill_n(reductions.ids, num_best, -1);
  std::fill_n(reductions.target_logits, num_rows, kMinusInfinity);
  return reductions;
}

// The column of `id`, or the first one after it.
std::int32_t column_of(std::span<const std::int32_t> ids, std::int32_t id) {
  return static_cast<std::int32_t>(std::lower_bound(ids.begin(), ids.end(), id) - ids.begin());
}

// The query with columns in place of ids, its arrays too; what is no candidate is left out.
VocabularyQuery by_column(VocabularyQuery query, std::span<const std::int32_t> ids, Workspace& workspace) {
  const auto is_candidate = [&](std::int32_t id) { return std::binary_search(ids.begin(), ids.end(), id); };
  auto* banned = workspace.take<std::int32_t>(query.banned.size());
  std::size_t count = 0;
  for (const std::int32_t id : query.banned) {
    if (is_candidate(id)) banned[count++] = column_of(ids, id);
  }
  query.banned = {banned, count};
  if (query.banned_logits != nullptr) query.banned_logits = workspace.take<float>(count);
  if (query.logits != nullptr) query.logits = workspace.take<float>(ids.size());
  query.target = is_candidate(query.target) ? column_of(ids, query.target) : -1;
  return query;
}

// Hands the arrays of a query by_column() over to those of the query itself.
void hand_over(const VocabularyQuery& columns, std::span<const std::int32_t> ids,
               const VocabularyQuery& query) {
  const float* logit = columns.banned_logits;
  for (std::size_t i = 0; query.banned_logits != nullptr && i < query.banned.size(); ++i) {
    const bool is_candidate = std::binary_search(ids.begin(), ids.end(), query.banned[i]);
    query.banned_logits[i] = is_candidate ? *logit++ : kMinusInfinity;
  }
  for (std::size_t i = 0; query.logits != nullptr && i < ids.size(); ++i) {
    query.logits[ids[i]] = columns.logits[i];
  }
}

// A block of rows of `group`, which follows those before it in its batch.
Block take_block(const Runtime& runtime, const VocabularyRows& group,
                 std::span<const VocabularyQuery> queries, int first_row, int first_task) {
  if (!group.ids.empty()) {
    auto* by_columns = runtime.workspace.take<VocabularyQuery>(queries.size());
    std::transform(queries.begin(), queries.end(), by_columns, [&](const VocabularyQuery& query) {
      return by_column(query, group.ids, runtime.workspace);
    });
    queries = {by_columns, queries.size()};
  }
  int top_k = 0;
  for (const VocabularyQuery& query : queries) top_k = std::max(top_k, query.top_k);
  const int num_runs = (group.lm_head->out_features + kRunWidth - 1) / kRunWidth;
  return {group.lm_head, group.ids,
          queries,       first_row,
          first_task,    take_reductions(runtime, static_cast<int>(queries.size()), num_runs, top_k)};
}

// One run of columns for all rows of a block: product, then its reductions. logits [rows][kRunWidth].
template <class Rows>
void project_run(const Kernels& kernels, const Block& block, const Rows& rows, int run, int thread,
                 float* logits) {
  const Linear& lm_head = *block.lm_head;
  const int first_column = run * kRunWidth, num_rows = block.num_rows();
  const GemmArgs args{.num_rows = num_rows,
                      .depth = lm_head.in_features,
                      .num_columns = std::min(kRunWidth, lm_head.out_features - first_column),
                      .bias = lm_head.bias.data() + first_column,
                      .activation = Activation::kNone,
                      .residual = nullptr,
                      .output = logits,
                      .output_stride = kRunWidth};
  const auto multiply = [&]<class Type>(const Type& panels) {
    if constexpr (std::is_same_v<RowsOf<Type>, Rows>) {
      multiply_block(kernels, panels, rows, block.first_row, first_column, args);
    } else {
      PE_DCHECK(!"rows of another type, see check_same_rows()");
    }
  };
  std::visit(multiply, lm_head.panels);
  for (int row = 0; row < num_rows; ++row) {
    reduce_run(kernels, block.queries[row],
               {run, first_column, args.num_columns, logits + static_cast<std::int64_t>(row) * kRunWidth},
               row, thread, block.reductions);
  }
}

// All blocks take the same rows, though their columns may lie in panels or apart. Throws std::logic_error
// else, and before the tasks, which do not throw.
template <class Rows>
void check_same_rows(std::span<const Block> blocks) {
  const auto takes_rows = []<class Type>(const Type&) { return std::is_same_v<RowsOf<Type>, Rows>; };
  for (const Block& block : blocks) {
    if (!std::visit(takes_rows, block.lm_head->panels)) {
      throw std::logic_error("output projections of one batch take rows of different types");
    }
  }
}

// Runs all runs of all blocks as one parallel region. hidden [rows of all blocks, hidden_size].
void project_blocks(const Runtime& runtime, std::span<const Block> blocks, const float* hidden) {
  const int num_rows = blocks.back().first_row + blocks.back().num_rows();
  const int num_tasks = blocks.back().first_task + blocks.back().reductions.num_runs;
  int most_rows = 0;
  for (const Block& block : blocks) most_rows = std::max(most_rows, block.num_rows());
  const std::size_t size = static_cast<std::size_t>(most_rows) * kRunWidth;
  float* logits = runtime.workspace.take<float>(runtime.num_threads * size);
  std::visit(
      [&]<class Type>(const Type& panels) {
        check_same_rows<RowsOf<Type>>(blocks);
        const auto rows =
            prepare_rows(runtime, panels, hidden, num_rows, blocks.front().lm_head->in_features);
        runtime.pool.run(num_tasks, runtime.num_threads, [&](int task, int thread) {
          const auto after = [](int number, const Block& block) { return number < block.first_task; };
          const Block& block = *(std::upper_bound(blocks.begin(), blocks.end(), task, after) - 1);
          project_run(runtime.kernels, block, rows, task - block.first_task, thread, logits + thread * size);
        });
      },
      blocks.front().lm_head->panels);
}

// What the reductions of a row come to; its candidates [top_k] go to the arrays of `result`.
void merge_row(const Kernels& kernels, const Block& block, int row, float* values, std::int32_t* ids,
               VocabularyResult& result) {
  const VocabularyQuery& query = block.queries[row];
  const Reductions& reductions = block.reductions;
  if (query.top_k > 0) merge_top_k(reductions, row, query.top_k, values, ids);
  for (int i = 0; !block.ids.empty() && i < query.top_k && ids[i] >= 0; ++i) ids[i] = block.ids[ids[i]];
  const MaxSum* sums = reductions.sums + static_cast<std::size_t>(row) * reductions.num_runs;
  const float log_sum_exp = query.log_sum_exp ? kernels.log_sum_exp(sums, reductions.num_runs)
                                              : std::numeric_limits<float>::quiet_NaN();
  result = {log_sum_exp, reductions.target_logits[row], values, ids};
}

// Cuts the rows of groups into batches of blocks.
class Cutter {
 public:
  Cutter(const Runtime& runtime, std::span<const VocabularyRows> groups,
         std::span<const VocabularyQuery> queries)
      : runtime_(runtime), groups_(groups), queries_(queries) {}

  // The next kRowBlock rows, or what is left of them, in memory of the workspace.
  std::span<const Block> next() {
    auto* blocks = runtime_.workspace.take<Block>(kRowBlock);
    std::size_t count = 0;
    int num_rows = 0, num_tasks = 0;
    while (num_rows < kRowBlock && !groups_.empty()) {
      const int size = std::min(groups_.front().num_rows - cut_, kRowBlock - num_rows);
      Block& block = blocks[count++];
      block = take_block(runtime_, groups_.front(), queries_.first(size), num_rows, num_tasks);
      num_rows += size;
      num_tasks += block.reductions.num_runs;
      queries_ = queries_.subspan(size);
      cut_ += size;
      if (cut_ == groups_.front().num_rows) {
        groups_ = groups_.subspan(1);
        cut_ = 0;
      }
    }
    return {blocks, count};
  }

 private:
  const Runtime& runtime_;
  std::span<const VocabularyRows> groups_;    // that are left
  std::span<const VocabularyQuery> queries_;  // theirs
  int cut_ = 0;                               // rows of the first group that are done
};

// Whether the queries are those of the groups' rows, and in order.
[[maybe_unused]] bool fit(std::span<const VocabularyRows> groups, std::span<const VocabularyQuery> queries) {
  int num_rows = 0;
  for (const VocabularyRows& group : groups) {
    num_rows += group.num_rows;
    if (!std::ranges::is_sorted(group.ids)) return false;
    if (!group.ids.empty() && std::ssize(group.ids) != group.lm_head->out_features) return false;
  }
  const auto is_sound = [](const VocabularyQuery& query) {
    return query.top_k >= 0 && std::ranges::is_sorted(query.banned);
  };
  return num_rows == std::ssize(queries) && std::ranges::all_of(queries, is_sound);
}

}  // namespace

void project_to_vocabulary(const Runtime& runtime, std::span<const VocabularyRows> groups,
                           const float* hidden, std::span<const VocabularyQuery> queries,
                           VocabularyResult* results) {
  PE_DCHECK(fit(groups, queries));
  std::size_t num_candidates = 0;
  for (const VocabularyQuery& query : queries) num_candidates += query.top_k;
  float* values = runtime.workspace.take<float>(num_candidates);
  std::int32_t* ids = runtime.workspace.take<std::int32_t>(num_candidates);
  Cutter cutter(runtime, groups, queries);
  for (std::size_t done = 0; done < queries.size();) {
    runtime.check();
    const Workspace::Scope scope(runtime.workspace);
    const std::span<const Block> blocks = cutter.next();
    const std::int64_t hidden_size = blocks.front().lm_head->in_features;
    project_blocks(runtime, blocks, hidden + static_cast<std::int64_t>(done) * hidden_size);
    for (const Block& block : blocks) {
      for (int row = 0; row < block.num_rows(); ++row) {
        if (!block.ids.empty()) hand_over(block.queries[row], block.ids, queries[done]);
        merge_row(runtime.kernels, block, row, values, ids, results[done++]);
        values += block.queries[row].top_k;
        ids += block.queries[row].top_k;
      }
    }
  }
}

}  // namespace pyengine
