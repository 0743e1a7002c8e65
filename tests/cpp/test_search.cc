#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include "decode/beam.h"
#include "decode/greedy.h"
#include "decode/sampling.h"
#include "decode/token_queue.h"
#include "kernels/tables.h"

using namespace pyengine;

namespace {

constexpr int kVocab = 5;
constexpr std::int32_t kEnd = 2;
constexpr std::int32_t kStart[] = {0};
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// A language model over kVocab tokens: fixed random logits for each prefix.
class ToyModel {
 public:
  const std::vector<float>& logits(const std::vector<std::int32_t>& prefix) {
    auto& row = rows_[prefix];
    if (row.empty()) {
      std::normal_distribution<float> normal(0.0f, 2.0f);
      for (int i = 0; i < kVocab; ++i) row.push_back(normal(random_));
    }
    return row;
  }

 private:
  std::mt19937 random_{11};
  std::map<std::vector<std::int32_t>, std::vector<float>> rows_;
};

float log_sum_exp(const std::vector<float>& logits) {
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  return static_cast<float>(std::log(sum));
}

GenerationOptions toy_options(int num_beams, int max_length) {
  GenerationOptions options;
  options.num_beams = num_beams;
  options.num_return_sequences = num_beams;
  options.max_length = max_length;
  options.decoder_start_token_id = 0;
  options.eos_token_ids = {kEnd};
  return options;
}

SearchStart start_of(const GenerationOptions& options, const Constraints& constraints,
                     std::span<const std::int32_t> prompt = kStart,
                     std::span<const std::int32_t> source = {}) {
  return {options, constraints, kScalarKernels, prompt, source, kVocab, std::pmr::get_default_resource()};
}

// Answers a row as the vocabulary projection would.
struct Answer {
  std::vector<float> values;
  std::vector<std::int32_t> ids;
  VocabularyResult result;

  Answer(std::vector<float> logits, const VocabularyQuery& query) {
    float sum = log_sum_exp(logits);
    if (query.logits != nullptr) std::copy(logits.begin(), logits.end(), query.logits);
    for (std::size_t i = 0; i < query.banned.size(); ++i) {
      REQUIRE(query.banned[i] < kVocab);
      float& logit = logits[query.banned[i]];
      if (query.banned_logits != nullptr) query.banned_logits[i] = logit;
      logit = kMinusInfinity;
    }
    if (query.renormalize) sum = log_sum_exp(logits);
    for (int i = 0; i < query.top_k; ++i) {
      int best = -1;
      for (int id = 0; id < kVocab; ++id) {
        if (logits[id] > (best < 0 ? kMinusInfinity : logits[best])) best = id;
      }
      ids.push_back(best);
      values.push_back(best < 0 ? kMinusInfinity : logits[best]);
      if (best >= 0) logits[best] = kMinusInfinity;
    }
    result = {sum, 0.0f, values.data(), ids.data()};
  }
};

// Runs `search` to its end; the prefix of each hypothesis is followed through parents().
std::vector<Hypothesis> run(Search& search, ToyModel& model) {
  std::vector<std::vector<std::int32_t>> prefixes{{}};
  while (true) {
    const auto rows = search.rows();
    const auto parents = search.parents();
    std::vector<std::vector<std::int32_t>> next;
    for (const DecodingRow& row : rows) {
      const bool follows = row.position > 0 && parents.empty() && !next.empty();  // within a prompt
      auto prefix = follows ? next.back() : prefixes[parents.empty() ? row.slot : parents[row.slot]];
      if (follows) next.pop_back();
      prefix.push_back(row.token);
      REQUIRE(static_cast<int>(prefix.size()) == row.position + 1);
      next.push_back(prefix);
    }
    std::vector<Answer> answers;
    std::vector<VocabularyResult> results;
    answers.reserve(rows.size());
    for (const DecodingRow& row : rows) {
      if (!row.predicts) continue;
      answers.emplace_back(model.logits(next[answers.size()]), row.query);
      results.push_back(answers.back().result);
    }
    prefixes = next;
    if (search.advance(results)) break;
  }
  return {search.hypotheses().begin(), search.hypotheses().end()};
}

// The best score of all targets that end with the end token or reach max_length.
float best_score(ToyModel& model, std::vector<std::int32_t> prefix, float sum,
                 const GenerationOptions& options) {
  float best = kMinusInfinity;
  const std::vector<float> logits = model.logits(prefix);
  const float total = log_sum_exp(logits);
  for (std::int32_t id = 0; id < kVocab; ++id) {
    auto extended = prefix;
    extended.push_back(id);
    const float extended_sum = sum + (logits[id] - total);
    const bool ends = id == kEnd || static_cast<int>(extended.size()) == options.max_length;
    const double divisor = std::pow(static_cast<double>(prefix.size()), options.length_penalty);
    best = std::max(best, ends ? extended_sum / static_cast<float>(divisor)
                               : best_score(model, extended, extended_sum, options));
  }
  return best;
}

}  // namespace

TEST_CASE("a factor bounds the tokens beyond the prompt by those of the source") {
  GenerationOptions options;
  options.max_length = 40;
  CHECK(lengths_of(options, 1, 5).max == 40);
  options.max_length_factor = 2.5;
  CHECK(lengths_of(options, 1, 5).max == 1 + 13);
  CHECK(lengths_of(options, 1, 90).max == 40);
  options.max_length_factor = 2.2;  // 11 in float32, as Marian has it; 12 in double
  CHECK(lengths_of(options, 1, 5).max == 1 + 11);
  options.max_length_factor = 1e-6;
  CHECK(lengths_of(options, 1, 1).max == 2);
}

TEST_CASE("a beam as wide as the whole tree finds the best of all targets") {
  for (const double length_penalty : {0.0, 0.6, 1.0, 2.0}) {
    ToyModel model;
    GenerationOptions options = toy_options(700, 6);  // 4^4 prefixes of 4 tokens run on at most
    options.length_penalty = length_penalty;
    options.early_stopping = EarlyStopping::kNever;
    const Constraints constraints(options);
    BeamSearch search(start_of(options, constraints));
    const auto hypotheses = run(search, model);
    CHECK(hypotheses[0].score == doctest::Approx(best_score(model, {0}, 0.0f, options)).epsilon(1e-6));
    for (std::size_t i = 1; i < hypotheses.size(); ++i) CHECK(hypotheses[i - 1].score >= hypotheses[i].score);
  }
}

TEST_CASE("greedy takes the largest logit of each step and scores it") {
  ToyModel model;
  const GenerationOptions options = toy_options(1, 9);
  const Constraints constraints(options);
  GreedySearch search(start_of(options, constraints));
  const Hypothesis found = run(search, model)[0];

  std::vector<std::int32_t> prefix{0};
  float sum = 0.0f;
  while (static_cast<int>(prefix.size()) < options.max_length &&
         (prefix.size() == 1 || prefix.back() != kEnd)) {
    const std::vector<float>& logits = model.logits(prefix);
    const auto best = std::max_element(logits.begin(), logits.end());
    sum += *best - log_sum_exp(logits);
    prefix.push_back(static_cast<std::int32_t>(best - logits.begin()));
  }
  const std::size_t num_generated = prefix.size() - 1;
  if (prefix.back() == kEnd) prefix.pop_back();
  CHECK(found.ids == std::vector<std::int32_t>(prefix.begin() + 1, prefix.end()));
  CHECK(found.score == doctest::Approx(sum / static_cast<float>(num_generated)).epsilon(1e-6));
}

TEST_CASE("a search behind a prompt is the search from its first token whose way led there") {
  for (const int num_beams : {1, 3}) {
    ToyModel model;
    GenerationOptions options = toy_options(num_beams, 9);
    options.eos_token_ids.clear();
    const Constraints constraints(options);
    const auto search_from = [&](std::span<const std::int32_t> prompt) {
      if (num_beams > 1) {
        BeamSearch search(start_of(options, constraints, prompt));
        return run(search, model);
      }
      GreedySearch search(start_of(options, constraints, prompt));
      return run(search, model);
    };
    const std::vector<std::int32_t> ids = search_from(kStart)[0].ids;
    REQUIRE(ids.size() == 8);
    const std::vector<std::int32_t> prompt{0, ids[0], ids[1], ids[2]};
    const auto found = search_from(prompt);
    for (const Hypothesis& hypothesis : found) CHECK(hypothesis.ids.size() == 5);
    if (num_beams == 1) CHECK(found[0].ids == std::vector<std::int32_t>(ids.begin() + 3, ids.end()));
    options.max_new_tokens = 2;
    CHECK(search_from(prompt)[0].ids.size() == 2);
  }
}

TEST_CASE("bans and forced tokens") {
  GenerationOptions options = toy_options(1, 6);
  options.min_length = 3;
  options.suppress_tokens = {4, 3};
  options.begin_suppress_tokens = {1};
  options.bad_words_ids = {{3}, {2}, {0, 1}, {1, 4, 0}};
  options.forced_eos_token_ids = {2};
  const Lengths lengths = lengths_of(options, 1, 1);
  std::pmr::vector<std::int32_t> banned;

  SUBCASE("sets are merged, ascending, without repeats") {
    const Constraints constraints(options);
    constraints.ban(std::vector<std::int32_t>{0}, {}, lengths, banned);
    CHECK(banned == std::pmr::vector<std::int32_t>{1, 2, 3, 4});
    constraints.ban(std::vector<std::int32_t>{0, 1, 4}, {}, lengths,
                    banned);  // {2} is the end token: let through
    CHECK(banned == std::pmr::vector<std::int32_t>{0, 3, 4});
  }
  SUBCASE("a bad word needs its whole prefix within the target") {
    const Constraints constraints(options);
    constraints.ban(std::vector<std::int32_t>{9, 0, 3}, {}, lengths, banned);
    CHECK(banned == std::pmr::vector<std::int32_t>{3, 4});
    constraints.ban(std::vector<std::int32_t>{9, 3, 0}, {}, lengths, banned);
    CHECK(banned == std::pmr::vector<std::int32_t>{1, 3, 4});
  }
  SUBCASE("first and last tokens") {
    options.forced_bos_token_id = 4;
    CHECK(Constraints(options).forced(1, lengths).empty());  // it is suppressed too
    options.suppress_tokens = {3};
    const Constraints constraints(options);
    REQUIRE(constraints.forced(1, lengths).size() == 1);
    CHECK(constraints.forced(1, lengths)[0] == 4);
    CHECK(constraints.forced(2, lengths).empty());
    CHECK(constraints.forced(5, lengths)[0] == 2);
    constraints.ban(std::vector<std::int32_t>{0, 4}, {}, lengths,
                    banned);  // the first free token is the second
    CHECK(banned == std::pmr::vector<std::int32_t>{1, 2, 3});
    options.suppress_tokens = {4, 3};  // and stays the second where the forced one is suppressed
    Constraints(options).ban(std::vector<std::int32_t>{0, 4}, {}, lengths, banned);
    CHECK(banned == std::pmr::vector<std::int32_t>{1, 2, 3, 4});
  }
  SUBCASE("a forced token adds nothing to the score") {
    ToyModel model;
    GenerationOptions free = toy_options(3, 2);
    free.forced_bos_token_id = 3;
    const Constraints constraints(free);
    BeamSearch search(start_of(free, constraints));
    const auto hypotheses = run(search, model);
    REQUIRE(hypotheses.size() == 1);
    CHECK(hypotheses[0].ids == std::vector<std::int32_t>{3});
    CHECK(hypotheses[0].score == 0.0f);
  }
}

namespace {

constexpr std::int32_t kPrompt[] = {0, 3, 1, 3};

// What a RowProcessors makes of the logits after `tokens`: value and log-probability of each id.
std::map<std::int32_t, std::pair<float, float>> processed(const GenerationOptions& options,
                                                          std::span<const std::int32_t> tokens,
                                                          std::span<const std::int32_t> source,
                                                          const std::vector<float>& logits,
                                                          RowProcessors::On on) {
  const Constraints constraints(options);
  RowProcessors processors(start_of(options, constraints, kStart, source), lengths_of(options, 1, 1), on);
  VocabularyQuery query;
  processors.prepare(tokens, query);
  query.top_k = kVocab;
  const Answer answer(logits, query);
  std::map<std::int32_t, std::pair<float, float>> found;
  for (int time = 0; time < 2; ++time) {  // asking again changes nothing
    found.clear();
    processors.for_each_candidate(answer.result, kVocab, [&](std::int32_t id, float value, float log_prob) {
      CHECK(found.count(id) == 0);
      found[id] = {value, log_prob};
    });
  }
  return found;
}

}  // namespace

TEST_CASE("what was generated, and what the source holds, cannot come again") {
  GenerationOptions options = toy_options(1, 20);
  std::pmr::vector<std::int32_t> banned;
  const Lengths lengths = lengths_of(options, 1, 1);
  const std::vector<std::int32_t> source{4, 3, 1, 0, 1};
  const auto ban = [&](const std::vector<std::int32_t>& tokens) {
    Constraints(options).ban(tokens, source, lengths, banned);
    return banned;
  };
  options.no_repeat_ngram_size = 2;
  CHECK(ban({0, 1, 3, 0}) == std::pmr::vector<std::int32_t>{1});
  CHECK(ban({0, 1, 0, 3, 0}) == std::pmr::vector<std::int32_t>{1, 3});
  CHECK(ban({0}).empty());
  options.no_repeat_ngram_size = 1;
  CHECK(ban({4, 1, 4}) == std::pmr::vector<std::int32_t>{1, 4});
  options.no_repeat_ngram_size = 4;
  CHECK(ban({1, 2, 3, 4, 1, 2, 3}) == std::pmr::vector<std::int32_t>{4});
  CHECK(ban({1, 2}).empty());
  options.no_repeat_ngram_size = 0;
  options.encoder_no_repeat_ngram_size = 2;
  CHECK(ban({0, 1}) == std::pmr::vector<std::int32_t>{0});
  CHECK(ban({0, 3}) == std::pmr::vector<std::int32_t>{1});
  options.encoder_no_repeat_ngram_size = 3;
  CHECK(ban({1}).empty());
  CHECK(ban({2, 3, 1}) == std::pmr::vector<std::int32_t>{0});
}

TEST_CASE("penalties change logits, and in beam search log-probabilities") {
  const std::vector<float> logits{2.0f, -1.0f, 0.5f, 3.0f, -2.0f};
  GenerationOptions options = toy_options(1, 20);
  options.repetition_penalty = 2.0;
  options.encoder_repetition_penalty = 4.0;
  options.suppress_tokens = {2};
  const std::vector<std::int32_t> tokens{0, 1, 1}, source{1, 3, 7};  // 7 is no target
  const float sum = log_sum_exp(logits);
  for (const bool renormalize : {false, true}) {
    options.renormalize_logits = renormalize;
    auto found = processed(options, tokens, source, logits, RowProcessors::On::kLogits);
    CHECK(found.size() == 4);
    // Of the source first: by 1/4, then of the text: by 2.
    const std::vector<float> values{1.0f, -0.5f, kMinusInfinity, 12.0f, -2.0f};
    const float norm = log_sum_exp(values);
    for (const auto& [id, pair] : found) {
      CHECK(pair.first == values[id]);
      const float log_prob = renormalize ? values[id] - norm : logits[id] - sum;
      CHECK(pair.second == doctest::Approx(log_prob).epsilon(1e-6));
    }
    found = processed(options, tokens, source, logits, RowProcessors::On::kLogProbs);
    CHECK(found.size() == 4);
    std::vector<float> log_probs;
    for (const float logit : logits) log_probs.push_back(logit - sum);
    log_probs[0] *= 2.0f;
    log_probs[1] *= 0.5f;
    log_probs[2] = kMinusInfinity;
    log_probs[3] *= 0.25f;
    const float second = renormalize ? log_sum_exp(log_probs) : 0.0f;
    for (const auto& [id, pair] : found) {
      CHECK(pair.second == doctest::Approx(log_probs[id] - second).epsilon(1e-6));
    }
  }
}

TEST_CASE("ids of the source that no target has concern nothing") {
  const std::vector<std::int32_t> source{kVocab, 3, 1 << 20, kVocab + 1};
  GenerationOptions options = toy_options(1, 12);
  options.do_sample = true;
  options.encoder_no_repeat_ngram_size = 1;
  for (const double penalty : {1.0, 2.0}) {
    for (const int top_k : {0, 3, 300}) {
      options.encoder_repetition_penalty = penalty;
      options.top_k = top_k;
      const Constraints constraints(options);
      ToyModel model;
      SamplingSearch search(start_of(options, constraints, kStart, source));
      const auto samples = run(search, model);
      for (const std::int32_t id : samples[0].ids) CHECK(id != 3);
    }
  }
}

TEST_CASE("a sample is its own, whatever the number of samples and the way to the logits") {
  ToyModel model;
  GenerationOptions options = toy_options(1, 12);
  options.do_sample = true;
  options.seed = 5;
  options.temperature = 4.0;
  const auto samples = [&](int count) {
    options.num_return_sequences = count;
    const Constraints constraints(options);
    SamplingSearch search(start_of(options, constraints, kPrompt, kPrompt));
    return run(search, model);
  };
  const auto all = samples(20);
  REQUIRE(all.size() == 20);
  std::size_t num_long = 0;
  for (const Hypothesis& sample : all) {
    CHECK(sample.ids.size() <= 8);
    CHECK(std::count(sample.ids.begin(), sample.ids.end(), kEnd) == 0);
    num_long += sample.ids.size() > 2;
  }
  CHECK(num_long > 3);
  const auto expect_first = [&](const std::vector<Hypothesis>& few) {
    for (std::size_t i = 0; i < few.size(); ++i) {
      CHECK(few[i].ids == all[i].ids);
      CHECK(few[i].score == doctest::Approx(all[i].score).epsilon(1e-5));
    }
  };
  expect_first(samples(3));
  options.top_k = 1;
  for (const Hypothesis& sample : samples(4)) {
    CHECK(sample.score == 0.0f);
    CHECK(sample.ids == samples(1)[0].ids);
  }
  options.top_k = kVocab;  // from candidates, best first
  const auto from_candidates = samples(20);
  options.top_k = 300;  // from the whole row, best first
  const auto from_row = samples(20);
  for (std::size_t i = 0; i < 20; ++i) CHECK(from_candidates[i].ids == from_row[i].ids);
}

TEST_CASE("a stream gives the tokens of the result as they are made") {
  for (const int max_length : {4, 30}) {
    ToyModel model;
    GenerationOptions options = toy_options(1, max_length);
    const Constraints constraints(options);
    TokenQueue tokens;
    StreamedSearch search(std::make_unique<GreedySearch>(start_of(options, constraints)), tokens);
    const Hypothesis found = run(search, model)[0];
    CHECK(tokens.take(std::chrono::duration<double>(0)) == found.ids);
    CHECK(tokens.take(std::chrono::duration<double>(0)).empty());
    tokens.close();
    CHECK(tokens.take(std::chrono::duration<double>(100)).empty());
  }
}
