#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <optional>
#include <stdexcept>
#include <thread>

#include "decode/beam.h"
#include "decode/greedy.h"
#include "decode/scoring.h"
#include "random_model.h"

using namespace pyengine;
using namespace pyengine::testing;

namespace {

std::atomic<long> g_allocations{0};

}  // namespace

// Counts what the whole program allocates, for the test that a decoder step allocates nothing.
void* operator new(std::size_t size) {
  ++g_allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  ++g_allocations;
  const std::size_t step = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(step, (size + step - 1) / step * step)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

TEST_CASE("a sentence's result depends on nothing but the sentence") {
  ModelConfig pre_norm = small_config(), ssru = small_config();
  pre_norm.normalize_before = true;
  ssru.decoder_kind = DecoderKind::kSsru;
  for (const ModelConfig& config : {small_config(), pre_norm, ssru}) {
    RandomModel model(config);
    const Sources sources(20, 40, config.source_vocab_size);
    for (const int num_beams : {1, 4}) {
      const GenerationOptions options = small_options(num_beams);
      Engine reference(config, model.weights(), select_kernels("scalar"), 1);
      std::vector<std::vector<Hypothesis>> alone;
      for (int i = 0; i < sources.ragged().size(); ++i) {
        const std::vector<std::int32_t> source = sources.source(i);
        const std::vector<std::int64_t> offsets{0, static_cast<std::int64_t>(source.size())};
        alone.push_back(generate(reference, {source, offsets}, options, 1)[0]);
      }
      for (const std::string& isa : available_isas()) {
        for (const int num_threads : {1, 2, 3, 8}) {
          Engine engine(config, model.weights(), select_kernels(isa), num_threads);
          for (const int batch_size : {1, 3, 20}) {
            const auto together = generate(engine, sources.ragged(), options, batch_size);
            for (std::size_t i = 0; i < alone.size(); ++i) REQUIRE(equal(alone[i], together[i]));
          }
        }
      }
    }
  }
}

TEST_CASE("a batch of more tokens than the encoder takes at once gives what each sentence gives alone") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  const Sources sources(60, 48, config.source_vocab_size);
  REQUIRE(sources.values.size() > 1024);
  Engine engine(config, model.weights(), select_kernels(""), 2);
  const auto together = generate(engine, sources.ragged(), small_options(2), 60);
  for (int i = 0; i < sources.ragged().size(); ++i) {
    const std::vector<std::int32_t> source = sources.source(i);
    const std::vector<std::int64_t> offsets{0, static_cast<std::int64_t>(source.size())};
    CHECK(equal(together[i], generate(engine, {source, offsets}, small_options(2), 1)[0]));
  }
}

TEST_CASE("a score is the sum of the target's log-probabilities, to the bit") {
  ModelConfig config = small_config();
  SUBCASE("self-attention") {}
  SUBCASE("SSRU") { config.decoder_kind = DecoderKind::kSsru; }
  RandomModel model(config);
  Engine engine(config, model.weights(), select_kernels(""), 2);
  const Sources sources(12, 30, config.source_vocab_size);
  for (const int num_beams : {1, 3}) {
    GenerationOptions options = small_options(num_beams, 25);
    options.length_penalty = 0.0;
    const auto results = generate(engine, sources.ragged(), options, 5);
    for (int i = 0; i < sources.ragged().size(); ++i) {
      const Hypothesis& best = results[i][0];
      std::vector<std::int32_t> target = best.ids;
      if (static_cast<int>(target.size()) < options.max_length - 1) target.push_back(2);
      const std::vector<std::int32_t> source = sources.source(i);
      const std::vector<std::int64_t> source_offsets{0, static_cast<std::int64_t>(source.size())};
      const std::vector<std::int64_t> target_offsets{0, static_cast<std::int64_t>(target.size())};
      std::vector<float> log_probs(target.size());
      engine.score({source, source_offsets}, {target, target_offsets}, 1, 1, log_probs.data(), never);
      float sum = 0.0f;
      for (const float log_prob : log_probs) sum += log_prob;
      CHECK(sum == best.score);
    }
  }
}

namespace {

template <class T>
Array<T> array_of(const std::vector<T>& values) {
  AlignedBuffer<T> copy(values.size());
  std::copy(values.begin(), values.end(), copy.data());
  return Array<T>(std::move(copy));
}

// Up to 60 target ids for each source id but the last.
Shortlist random_shortlist(const ModelConfig& config, std::int32_t num_first) {
  std::mt19937 random(5);
  std::vector<std::uint64_t> offsets{0};
  std::vector<std::uint32_t> entries;
  for (int id = 0; id + 1 < config.source_vocab_size; ++id) {
    for (unsigned count = random() % 61; count > 0; --count) entries.push_back(random() % config.vocab_size);
    offsets.push_back(entries.size());
  }
  return {num_first, array_of(offsets), array_of(entries)};
}

constexpr WeightType kWeightTypes[] = {WeightType::kFloat32, WeightType::kBfloat16, WeightType::kInt8};

}  // namespace

TEST_CASE("a decoder step allocates nothing") {
  ModelConfig config = small_config();
  std::optional<Shortlist> shortlist;
  SUBCASE("self-attention") {}
  SUBCASE("SSRU") { config.decoder_kind = DecoderKind::kSsru; }
  SUBCASE("shortlist") { shortlist = random_shortlist(config, 60); }
  RandomModel model(config);
  Engine engine(config, model.weights(), select_kernels(""), 2, shortlist);
  const Sources sources(8, 30, config.source_vocab_size);
  for (const int num_beams : {1, 4}) {
    const auto allocations = [&](int max_length) {
      GenerationOptions options = small_options(num_beams, max_length);
      options.min_length = max_length;  // nothing ends early: the same steps for every sentence
      options.bad_words_ids = {{5}, {6, 7}, {8, 9, 10}};
      const long before = g_allocations.load();
      generate(engine, sources.ragged(), options, 8);
      return g_allocations.load() - before;
    };
    allocations(16);  // warm up
    allocations(16);
    // Within one page of positions, so that the number of steps is the only difference.
    CHECK(allocations(6) == allocations(16));
  }
}

TEST_CASE("callers on several threads share the batch and get what they would get alone") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  Engine engine(config, model.weights(), select_kernels(""), 2);
  const Sources sources(10, 20, config.source_vocab_size);
  std::vector<std::vector<Hypothesis>> expected[2];
  for (const int beams : {1, 2})
    expected[beams - 1] = generate(engine, sources.ragged(), small_options(beams), 4);

  std::atomic<int> failures{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 6; ++caller) {
    callers.emplace_back([&, caller] {
      const int beams = 1 + caller % 2;
      for (int round = 0; round < 5; ++round) {
        if (caller == 5) {
          std::vector<float> hidden(sources.values.size() * config.hidden_size);
          engine.encode({sources.ragged(), {}}, 4, hidden.data(), never);
        }
        const auto results = generate(engine, sources.ragged(), small_options(beams), 4);
        for (std::size_t i = 0; i < results.size(); ++i)
          failures += !equal(results[i], expected[beams - 1][i]);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(failures == 0);
}

TEST_CASE("with a shortlist a sentence's result depends on nothing but the sentence") {
  ModelConfig config = small_config();
  config.decoder_kind = DecoderKind::kSsru;
  RandomModel model(config);
  const Sources sources(20, 40, config.source_vocab_size);
  const Shortlist shortlist = random_shortlist(config, 9);
  for (const WeightType type : kWeightTypes) {
    for (const int num_beams : {1, 4}) {
      const GenerationOptions options = small_options(num_beams);
      Engine reference(config, model.weights(type), select_kernels("scalar"), 1, shortlist);
      const auto expected = generate(reference, sources.ragged(), options, 1);
      for (const std::string& isa : available_isas()) {
        Engine engine(config, model.weights(type), select_kernels(isa), 3, shortlist);
        for (const int batch_size : {1, 7, 20}) {
          const auto found = generate(engine, sources.ragged(), options, batch_size);
          for (std::size_t i = 0; i < expected.size(); ++i) REQUIRE(equal(found[i], expected[i]));
        }
      }
    }
  }
}

TEST_CASE("a source's vocabulary may be larger than the target's") {
  ModelConfig config = small_config();
  config.source_vocab_size = 3000;
  config.vocab_size = 50;
  RandomModel model(config);
  const Sources sources(12, 30, config.source_vocab_size);
  for (const bool listed : {false, true}) {
    std::optional<Shortlist> shortlist;
    if (listed) shortlist = random_shortlist(config, 9);
    Engine engine(config, model.weights(), select_kernels(""), 2, shortlist);
    GenerationOptions options = small_options(1);
    options.encoder_no_repeat_ngram_size = 1;
    for (const double penalty : {1.0, 3.0}) {
      options.encoder_repetition_penalty = penalty;
      options.num_beams = 3;
      options.do_sample = false;
      CHECK(generate(engine, sources.ragged(), options, 4).size() == 12);
      options.num_beams = 1;
      CHECK(generate(engine, sources.ragged(), options, 4).size() == 12);
      options.do_sample = true;
      for (const int top_k : {0, 8, 1000}) {
        options.top_k = top_k;
        CHECK(generate(engine, sources.ragged(), options, 4).size() == 12);
      }
    }
  }
}

TEST_CASE("a shortlist of all ids changes nothing") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  const Sources sources(6, 20, config.source_vocab_size);
  for (const WeightType type : kWeightTypes) {
    Engine whole(config, model.weights(type), select_kernels(""), 2);
    Engine listed(config, model.weights(type), select_kernels(""), 2,
                  random_shortlist(config, config.vocab_size));
    for (const int num_beams : {1, 3}) {
      const auto expected = generate(whole, sources.ragged(), small_options(num_beams), 4);
      const auto found = generate(listed, sources.ragged(), small_options(num_beams), 4);
      for (std::size_t i = 0; i < expected.size(); ++i) CHECK(equal(found[i], expected[i]));
    }
  }
}

TEST_CASE("with a shortlist, searches and scores share the batch") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  const Sources sources(10, 20, config.source_vocab_size);
  Engine engine(config, model.weights(WeightType::kInt8), select_kernels(""), 2, random_shortlist(config, 9));
  Engine whole(config, model.weights(WeightType::kInt8), select_kernels(""), 2);
  const auto expected = generate(engine, sources.ragged(), small_options(2), 8);
  const auto score = [&](Engine& scorer) {
    std::vector<float> log_probs(sources.values.size());
    scorer.score(sources.ragged(), sources.ragged(), 1, 8, log_probs.data(), never);
    return log_probs;
  };
  const std::vector<float> expected_scores = score(whole);
  std::atomic<int> failures{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int round = 0; round < 20; ++round) {
        if (caller % 2 == 0) {
          failures += score(engine) != expected_scores;
        } else {
          const auto found = generate(engine, sources.ragged(), small_options(2), 8);
          for (std::size_t i = 0; i < found.size(); ++i) failures += !equal(found[i], expected[i]);
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(failures == 0);
}

TEST_CASE("a call that is ended leaves the others alone") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  Engine engine(config, model.weights(), select_kernels(""), 2);
  const GenerationOptions options = small_options(2, 40);

  std::atomic<int> endings{0};
  std::atomic<int> num_asked{0};
  // A caller is asked every 50 milliseconds: more and more to do, until it is before its sentences are done.
  for (int num_sentences = 8; num_sentences <= 32768 && (endings != 3 || num_asked == 0);
       num_sentences *= 2) {
    const Sources sources(num_sentences, 20, config.source_vocab_size);
    const auto expected = generate(engine, sources.ragged(), options, 4);
    std::atomic<int> failures{0};
    endings = num_asked = 0;
    CancelToken token;
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 6; ++caller) {
      callers.emplace_back([&, caller] {
        const auto poll = [&] {
          num_asked += caller == 2;
          token.cancel();  // of the callers 3 and 5, which are at work or not yet
          return caller == 0;
        };
        Interrupts interrupts;
        if (caller % 2 == 1) interrupts.token = &token;
        if (caller == 0 || caller == 2) interrupts.poll = poll;
        if (caller == 1) interrupts = {};
        try {
          const auto results = engine.generate(sources.ragged(), options, 4, interrupts);
          for (std::size_t i = 0; i < results.size(); ++i) failures += !equal(results[i], expected[i]);
        } catch (const Interrupted& interrupted) {
          ++endings;
          failures += interrupted.ending != (caller == 0 ? Ending::kNone : Ending::kCancelled);
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    CHECK(failures == 0);
  }
  CHECK(endings == 3);
  CHECK(num_asked > 0);
}

TEST_CASE("a call whose token is cancelled or late computes nothing") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  Engine engine(config, model.weights(), select_kernels(""), 1);
  const Sources sources(1, 5, config.source_vocab_size);
  const auto parent = std::make_shared<CancelToken>();
  const CancelToken late(1e-9), child(std::nullopt, parent), patient(1e300, parent);
  CHECK(patient.ending() == Ending::kNone);
  parent->cancel();
  while (late.ending() == Ending::kNone) {
  }
  for (const CancelToken* token : {&late, &child, &patient}) {
    try {
      engine.generate(sources.ragged(), small_options(1), 1, {token, {}});
      FAIL("it went on");
    } catch (const Interrupted& interrupted) {
      CHECK(interrupted.ending == (token == &late ? Ending::kTimeUp : Ending::kCancelled));
    }
  }
}

TEST_CASE("a poll may call the engine, or wait for others that do") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  Engine engine(config, model.weights(), select_kernels(""), 2);
  const GenerationOptions options = small_options(2, 40);
  bool was_asked = false;
  // More and more to do, until it lasts so long that the caller is asked.
  for (int num_sentences = 8; num_sentences <= 32768 && !was_asked; num_sentences *= 2) {
    const Sources sources(num_sentences, 20, config.source_vocab_size);
    const auto expected = generate(engine, sources.ragged(), options, 4);
    const auto poll = [&] {
      if (std::exchange(was_asked, true)) return false;
      CHECK(equal(generate(engine, sources.ragged(), options, 4)[7], expected[7]));
      std::thread([&] { generate(engine, sources.ragged(), options, 4); }).join();
      return false;
    };
    const auto found = engine.generate(sources.ragged(), options, 4, {nullptr, poll});
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(equal(found[i], expected[i]));
  }
  CHECK(was_asked);
}

TEST_CASE("a pass that is given up and run again changes nothing") {
  ModelConfig ssru = small_config();
  ssru.decoder_kind = DecoderKind::kSsru;
  for (const ModelConfig& config : {small_config(), ssru, unusual_config()}) {
    RandomModel model(config);
    const Weights weights = model.weights();
    const Kernels& kernels = select_kernels("");
    const Sources sources(6, 20, config.source_vocab_size);
    Engine engine(config, weights, kernels, 1);
    ForwardGroups forward(config, weights, kernels, 3);
    for (const int num_beams : {1, 4}) {
      const GenerationOptions options = small_options(num_beams);
      const Constraints constraints(options);
      std::vector<std::vector<std::int32_t>> ids;
      for (int i = 0; i < 6; ++i) ids.push_back(sources.source(i));
      std::vector<Sentence> sentences(6);
      std::vector<Sentence*> left;
      for (int i = 0; i < 6; ++i) {
        const std::span<const std::int32_t> prompt(&options.decoder_start_token_id, 1);
        const SearchStart start{options, constraints,       kernels,         prompt,
                                ids[i],  config.vocab_size, forward.memory()};
        sentences[i].source = ids[i];
        if (num_beams == 1) sentences[i].decoding = std::make_unique<GreedySearch>(start);
        if (num_beams > 1) sentences[i].decoding = std::make_unique<BeamSearch>(start);
        left.push_back(&sentences[i]);
      }
      // Gives up at each product in turn, first of the encoder, then of the steps.
      std::atomic<int> patience{0};
      const auto ask = [&] { return patience-- <= 0; };
      const Runtime::Ask give_up(ask);
      int num_given_up = 0;
      const auto insist = [&](auto pass) {
        for (int limit = num_given_up % 5;; limit += 7) {
          patience = limit;
          try {
            return pass();
          } catch (const GivenUp&) {
            ++num_given_up;
          }
        }
      };
      const auto enter = [&] {
        std::vector<Sentence*> waiting;
        for (Sentence* sentence : left) {
          if (!sentence->entered) waiting.push_back(sentence);
        }
        forward.enter(waiting, &give_up);
      };
      insist(enter);
      while (!left.empty()) {
        const auto step = [&] {
          // Those of a group that was not given up are a step ahead, or done.
          std::erase_if(left, [](const Sentence* sentence) { return sentence->done; });
          if (!left.empty()) forward.step(left, &give_up);
        };
        insist(step);
        std::erase_if(left, [](const Sentence* sentence) { return sentence->done; });
      }
      CHECK(num_given_up > 20);
      const auto expected = generate(engine, sources.ragged(), options, 6);
      for (int i = 0; i < 6; ++i) {
        const auto found = static_cast<Search&>(*sentences[i].decoding).hypotheses();
        CHECK(equal({found.begin(), found.end()}, expected[i]));
      }
    }
  }
}

#if !defined(__SANITIZE_THREAD__)  // TSan does not follow threads that start after a fork
TEST_CASE("a forked child is told that the engine was at work") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  Engine engine(config, model.weights(), select_kernels(""), 1);
  const Sources sources(400, 20, config.source_vocab_size);
  const GenerationOptions options = small_options(2, 40);
  const auto is_refused = [&] {
    try {
      generate(engine, sources.ragged(), options, 4);
    } catch (const ForkedAtWork&) {
      return true;
    }
    return false;
  };
  const auto wait_for = [](pid_t child) {
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  };
  SUBCASE("by another thread") {
    std::atomic<bool> is_asked{false}, forked{false};
    std::thread caller([&] {
      const auto poll = [&] {
        is_asked = true;
        is_asked.notify_all();
        forked.wait(false);
        return false;
      };
      engine.generate(sources.ragged(), options, 4, {nullptr, poll});
    });
    is_asked.wait(false);
    const pid_t child = fork();
    if (child == 0) _exit(is_refused() ? 0 : 1);
    wait_for(child);
    forked = true;
    forked.notify_all();
    caller.join();
  }
  SUBCASE("by its own poll") {
    pid_t child = -1;
    const auto poll = [&] {
      if (child == -1) child = fork();
      return false;
    };
    bool was_ended = false;
    try {
      engine.generate(sources.ragged(), options, 4, {nullptr, poll});
    } catch (const ForkedAtWork&) {
      was_ended = true;
    }
    if (child == 0) _exit(was_ended && is_refused() ? 0 : 1);
    CHECK_FALSE(was_ended);
    wait_for(child);
  }
}
#endif

TEST_CASE("what does not fit is refused with a message") {
  ModelConfig config = small_config();
  RandomModel model(config);
  SUBCASE("a tensor of another shape") {
    config.encoder_ffn_dim += 1;
    CHECK_THROWS_WITH_AS(load_weights(config, WeightType::kFloat32, model.tensors()),
                         "tensor encoder.layers.0.fc1.weight has shape [24, 40], expected [24, 41]",
                         std::invalid_argument);
  }
  SUBCASE("a tensor with no place") {
    const float value = 0.0f;
    model.tensors().add("decoder.extra", [&] { return TensorView{&value, {1}, {1}, nullptr}; });
    CHECK_THROWS_WITH_AS(model.weights(), "tensors that the architecture has no place for: decoder.extra",
                         std::invalid_argument);
  }
  SUBCASE("threads") {
    for (const int count : {-1, 0, 256, 1 << 30}) {
      const auto make = [&] { Engine(config, model.weights(), select_kernels(""), count); };
      const std::string message = "num_threads is " + std::to_string(count) + ", expected 1 to 255";
      CHECK_THROWS_WITH_AS(make(), message.c_str(), std::invalid_argument);
    }
  }
  SUBCASE("a shortlist of other vocabularies") {
    const auto refused = [&](const Shortlist& shortlist, const char* message) {
      const auto make = [&] { Engine(config, model.weights(), select_kernels(""), 1, shortlist); };
      CHECK_THROWS_WITH_AS(make(), message, std::invalid_argument);
    };
    const auto entries = array_of<std::uint32_t>({5, 600});  // of a vocabulary of 600
    refused({0, array_of<std::uint64_t>({0, 2}), entries}, "shortlist: an entry is outside the vocabulary");
    refused({0, array_of<std::uint64_t>({0, 9, 2}), entries},
            "shortlist: the offsets do not rise to the number of entries");
  }
  SUBCASE("options with ids of another vocabulary") {
    Engine engine(config, model.weights(), select_kernels(""), 1);
    const std::vector<std::int32_t> ids{3};
    const std::vector<std::int64_t> offsets{0, 1};
    for (const std::int32_t id : {-1, config.vocab_size}) {
      for (const auto list : {&GenerationOptions::suppress_tokens, &GenerationOptions::begin_suppress_tokens,
                              &GenerationOptions::eos_token_ids, &GenerationOptions::forced_eos_token_ids}) {
        GenerationOptions options = small_options(1);
        (options.*list).push_back(id);
        CHECK_THROWS_AS(generate(engine, {ids, offsets}, options, 1), std::invalid_argument);
      }
      GenerationOptions options = small_options(1);
      options.bad_words_ids = {{3}, {4, id}};
      CHECK_THROWS_AS(generate(engine, {ids, offsets}, options, 1), std::invalid_argument);
    }
  }
  SUBCASE("ids and lengths") {
    Engine engine(config, model.weights(), select_kernels(""), 1);
    const std::vector<std::int32_t> ids{3, 50};
    const std::vector<std::int64_t> offsets{0, 2};
    CHECK_THROWS_WITH_AS(generate(engine, {ids, offsets}, small_options(1), 1),
                         "source id 50 is outside the vocabulary of 50", std::invalid_argument);
    const std::vector<std::int64_t> empty{0, 0};
    CHECK_THROWS_AS(generate(engine, {{}, empty}, small_options(1), 1), std::invalid_argument);
    const std::vector<std::int32_t> one{3};
    const std::vector<std::int64_t> one_offsets{0, 1};
    CHECK_THROWS_AS(generate(engine, {one, one_offsets}, small_options(1, 50), 1), std::invalid_argument);
    CHECK(generate(engine, {one, one_offsets}, small_options(1, 49), 1).size() == 1);
  }
}

namespace {

// Every sentence of a GenerateJob-like call, the second of which cannot start.
class FailingJob : public Job {
 public:
  explicit FailingJob(const std::vector<std::int32_t>& source) : source_(source) {}
  int num_sentences() const override { return 3; }
  std::span<const std::int32_t> source(int) const override { return source_; }
  int max_rows(int) const override { return 1; }
  std::unique_ptr<Decoding> start(int index, std::pmr::memory_resource* memory) override {
    if (index == 1) throw std::bad_alloc();
    return std::make_unique<Scoring>(1, source_, log_probs_, memory);
  }
  void finish(int, Decoding&) override {}

 private:
  const std::vector<std::int32_t>& source_;
  float log_probs_[8];
};

}  // namespace

TEST_CASE("a call that fails fails alone, and the engine stays usable") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  const Weights weights = model.weights();
  ForwardGroups forward(config, weights, select_kernels(""), 2);
  Scheduler scheduler(forward);
  const std::vector<std::int32_t> source{3, 4, 5};
  std::vector<float> expected(3), found(3);

  class ScoreOne : public FailingJob {
   public:
    ScoreOne(const std::vector<std::int32_t>& source, float* log_probs, int num_sentences = 200)
        : FailingJob(source), target_(source), log_probs_(log_probs), num_sentences_(num_sentences) {}
    int num_sentences() const override { return num_sentences_; }
    std::unique_ptr<Decoding> start(int, std::pmr::memory_resource* memory) override {
      return std::make_unique<Scoring>(1, target_, log_probs_, memory);
    }

   private:
    const std::vector<std::int32_t>& target_;
    float* log_probs_;
    int num_sentences_;
  };
  ScoreOne alone(source, expected.data());
  scheduler.run(alone, 2, never);

  std::thread other([&] {
    ScoreOne job(source, found.data());
    scheduler.run(job, 2, never);
  });
  FailingJob failing(source);
  CHECK_THROWS_AS(scheduler.run(failing, 2, never), std::bad_alloc);
  other.join();
  CHECK(found == expected);

  ScoreOne polled(source, found.data(), 1 << 30);  // as long as it takes to be asked
  const auto raise = []() -> bool { throw std::runtime_error("from the poll"); };
  CHECK_THROWS_AS(scheduler.run(polled, 2, {nullptr, raise}), std::runtime_error);
  scheduler.run(alone, 2, never);
  CHECK(found == expected);
}

TEST_CASE("tables that start at the same address are one only if their shapes are") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  NamedTensors& tensors = model.tensors();
  const TensorView decoder = tensors.take("decoder.embed_tokens.weight", {600, 24});
  tensors.add("encoder.embed_tokens.weight", [&] {
    return TensorView{decoder.data, {50, 24}, {24, 1}, nullptr};
  });
  const Weights weights = model.weights();
  const auto& encoder_values = std::get<PanelsF32>(weights.encoder_embedding.tokens).values;
  const auto& decoder_values = std::get<PanelsF32>(weights.decoder_embedding.tokens).values;
  CHECK(encoder_values.data() != decoder_values.data());
  CHECK(decoder_values.size() == 608 * 24);  // whole panels
}

TEST_CASE("an engine that has worked for long gives its memory back when it rests") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  const Weights weights = model.weights();
  ForwardGroups forward(config, weights, select_kernels(""), 2);
  const std::vector<std::int32_t> ids{3};
  constexpr std::size_t kNumSentences = 1000;
  std::vector<float> expected(kNumSentences * ids.size()), found(expected.size());
  const auto score_many = [&](std::vector<float>& log_probs) {
    std::vector<Sentence> sentences(kNumSentences);
    std::vector<Sentence*> all;
    for (Sentence& sentence : sentences) {
      float* out = log_probs.data() + all.size() * ids.size();
      sentence.source = ids;
      sentence.decoding = std::make_unique<Scoring>(1, ids, out, forward.memory());
      all.push_back(&sentence);
    }
    forward.enter(all, nullptr);
    forward.step(all, nullptr);
  };
  score_many(expected);
  forward.rest(std::chrono::seconds(0));
  CHECK(forward.bytes() > (std::size_t{3} << 20));  // it would cost too much to take it again
  forward.rest(std::chrono::hours(1));
  CHECK(forward.bytes() == 0);
  score_many(found);
  CHECK(found == expected);
}
