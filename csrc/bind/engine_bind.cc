// The engine as Python sees it. Arrays go in and out as NumPy; the interpreter's lock is released while the
// model runs; a pending signal is looked for between steps.
#include "bind/engine_bind.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <atomic>
#include <chrono>
#include <stdexcept>

#include "bind/weights_bind.h"
#include "bind/without_gil.h"
#include "cpu/isa.h"
#include "engine.h"

namespace py = pybind11;

namespace pyengine {
namespace {

using Ids = py::array_t<std::int32_t, py::array::c_style>;
using Offsets = py::array_t<std::int64_t, py::array::c_style>;
using Floats = py::array_t<float, py::array::c_style>;

// Set by one thread to end the call of another, which then raises RuntimeError.
class StopFlag {
 public:
  void set() { set_ = true; }
  bool is_set() const { return set_; }

 private:
  std::atomic<bool> set_{false};
};

// Looks for a stop flag, and for a pending signal (Ctrl-C): at most every 20 milliseconds, since that takes
// the interpreter's lock, and only on the main thread, since Python runs signal handlers nowhere else. Once a
// handler has raised, the Python error is kept until it can be thrown with the lock held.
class SignalPoll {
 public:
  explicit SignalPoll(const StopFlag* stop = nullptr) : stop_(stop) {}

  bool operator()() {
    if (stop_ != nullptr && stop_->is_set()) return true;
    if (!on_main_thread_) return false;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return false;
    next_ = now + std::chrono::milliseconds(20);
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() == 0) return false;
    error_ = std::make_unique<py::error_already_set>();
    return true;
  }

  // Runs `work` without the interpreter's lock; raises what a signal handler raised.
  template <class Work>
  void run(Work work) {
    try {
      without_gil(work);
    } catch (const Interrupted&) {
      if (error_) throw py::error_already_set(*error_);
      throw;
    }
  }

 private:
  static bool is_main_thread() {
    const py::object main_thread = py::module_::import("threading").attr("main_thread")();
    return py::cast<unsigned long>(main_thread.attr("ident")) == PyThread_get_thread_ident();
  }

  const StopFlag* const stop_;  // may be null
  const bool on_main_thread_ = is_main_thread();
  std::chrono::steady_clock::time_point next_{};
  std::unique_ptr<py::error_already_set> error_;
};

std::span<const std::int32_t> as_span(const Ids& ids) {
  if (ids.ndim() != 1) throw std::invalid_argument("ids must have one dimension");
  return {ids.data(), static_cast<std::size_t>(ids.size())};
}

Ragged as_ragged(const Ids& values, const Offsets& offsets) {
  const std::span<const std::int64_t> bounds(offsets.data(), static_cast<std::size_t>(offsets.size()));
  if (offsets.ndim() != 1 || bounds.empty() || bounds.front() != 0 || bounds.back() != values.size()) {
    throw std::invalid_argument("offsets must run from 0 to the number of values");
  }
  for (std::size_t i = 1; i < bounds.size(); ++i) {
    if (bounds[i] < bounds[i - 1]) throw std::invalid_argument("offsets must not decrease");
  }
  return {as_span(values), bounds};
}

std::unique_ptr<Engine> make_engine(const PackedWeights& packed, const std::string& isa, int num_threads,
                                    std::optional<Shortlist> shortlist) {
  return std::make_unique<Engine>(packed.config, packed.weights, select_kernels(isa), num_threads,
                                  std::move(shortlist));
}

// (ids, offsets, scores) of num_return_sequences hypotheses for each source. Where a search found fewer, the
// missing ones have no ids and the score -inf.
py::tuple pack_hypotheses(const std::vector<std::vector<Hypothesis>>& results, int num_return_sequences) {
  const py::ssize_t count = static_cast<py::ssize_t>(results.size()) * num_return_sequences;
  Offsets offsets(count + 1);
  Floats scores(count);
  std::fill_n(scores.mutable_data(), count, -std::numeric_limits<float>::infinity());
  std::int64_t* ends = offsets.mutable_data();
  std::int64_t total = 0;
  *ends++ = 0;
  for (const auto& hypotheses : results) {
    for (int i = 0; i < num_return_sequences; ++i) {
      if (i < static_cast<int>(hypotheses.size()))
        total += static_cast<std::int64_t>(hypotheses[i].ids.size());
      *ends++ = total;
    }
  }
  Ids ids(total);
  std::int32_t* next_id = ids.mutable_data();
  float* next_score = scores.mutable_data();
  for (const auto& hypotheses : results) {
    for (std::size_t i = 0; i < hypotheses.size(); ++i) {
      next_id = std::copy(hypotheses[i].ids.begin(), hypotheses[i].ids.end(), next_id);
      next_score[i] = hypotheses[i].score;
    }
    next_score += num_return_sequences;
  }
  return py::make_tuple(ids, offsets, scores);
}

py::tuple generate(Engine& engine, const Ids& source_ids, const Offsets& source_offsets,
                   const GenerationOptions& options, int batch_size, const StopFlag* stop) {
  const Ragged sources = as_ragged(source_ids, source_offsets);
  const GenerationOptions own = options;  // another thread may change the Python object meanwhile
  std::vector<std::vector<Hypothesis>> results;
  SignalPoll poll(stop);
  poll.run([&] { results = engine.generate(sources, own, batch_size, poll); });
  return pack_hypotheses(results, own.num_return_sequences);
}

// Closes the queue in any case, so that its reader ends.
void stream(Engine& engine, const Ids& source_ids, const GenerationOptions& options, TokenQueue& tokens,
            int batch_size, const StopFlag* stop) {
  struct Closer {
    TokenQueue& tokens;
    ~Closer() { tokens.close(); }
  } const closer{tokens};
  const auto source = as_span(source_ids);
  const GenerationOptions own = options;
  SignalPoll poll(stop);
  poll.run([&] { engine.stream(source, own, tokens, batch_size, poll); });
}

std::vector<std::int32_t> take_tokens(TokenQueue& tokens, double timeout) {
  std::vector<std::int32_t> taken;
  without_gil([&] { taken = tokens.take(std::chrono::duration<double>(timeout)); });
  return taken;
}

Floats score(Engine& engine, const Ids& source_ids, const Offsets& source_offsets, const Ids& target_ids,
             const Offsets& target_offsets, std::int32_t decoder_start_token_id, int batch_size) {
  const Ragged sources = as_ragged(source_ids, source_offsets);
  const Ragged targets = as_ragged(target_ids, target_offsets);
  Floats log_probs(target_ids.size());
  float* data = log_probs.mutable_data();
  SignalPoll poll;
  poll.run([&] { engine.score(sources, targets, decoder_start_token_id, batch_size, data, poll); });
  return log_probs;
}

// [total]; 0 for the first id of each text.
Floats score_texts(Engine& engine, const Ids& ids, const Offsets& offsets, int batch_size) {
  const Ragged texts = as_ragged(ids, offsets);
  Floats log_probs(ids.size());
  float* data = log_probs.mutable_data();
  std::fill_n(data, ids.size(), 0.0f);
  SignalPoll poll;
  poll.run([&] { engine.score(texts, batch_size, data, poll); });
  return log_probs;
}

Floats logits(Engine& engine, const Ids& source_ids, const Ids& decoder_input_ids) {
  Floats result({static_cast<py::ssize_t>(decoder_input_ids.size()),
                 static_cast<py::ssize_t>(engine.config().vocab_size)});
  float* data = result.mutable_data();
  const auto source = as_span(source_ids), target = as_span(decoder_input_ids);
  SignalPoll poll;
  poll.run([&] { engine.logits(source, target, data, poll); });
  return result;
}

// `token_types` has as many entries as `ids`, or none: all are of type 0.
TypedTexts as_texts(const Ids& ids, const Offsets& offsets, const Ids& token_types) {
  return {as_ragged(ids, offsets), as_span(token_types)};
}

Floats encode_texts(Engine& engine, const Ids& ids, const Offsets& offsets, int batch_size,
                    const Ids& token_types) {
  const TypedTexts texts = as_texts(ids, offsets, token_types);
  Floats result(
      {static_cast<py::ssize_t>(ids.size()), static_cast<py::ssize_t>(engine.config().hidden_size)});
  float* data = result.mutable_data();
  SignalPoll poll;
  poll.run([&] { engine.encode(texts, batch_size, data, poll); });
  return result;
}

Floats classify_texts(Engine& engine, const Ids& ids, const Offsets& offsets, int batch_size,
                      const Ids& token_types) {
  const TypedTexts texts = as_texts(ids, offsets, token_types);
  Floats result(
      {static_cast<py::ssize_t>(texts.ids.size()), static_cast<py::ssize_t>(engine.config().num_labels)});
  float* data = result.mutable_data();
  SignalPoll poll;
  poll.run([&] { engine.classify(texts, batch_size, data, poll); });
  return result;
}

void bind_options(py::module_& m) {
  py::enum_<EarlyStopping>(m, "EarlyStopping")
      .value("HEURISTIC", EarlyStopping::kHeuristic)
      .value("IMMEDIATE", EarlyStopping::kImmediate)
      .value("NEVER", EarlyStopping::kNever);
  py::class_<GenerationOptions>(m, "GenerationOptions")
      .def(py::init<>())
      .def_readwrite("num_beams", &GenerationOptions::num_beams)
      .def_readwrite("num_return_sequences", &GenerationOptions::num_return_sequences)
      .def_readwrite("max_length", &GenerationOptions::max_length)
      .def_readwrite("min_length", &GenerationOptions::min_length)
      .def_readwrite("max_new_tokens", &GenerationOptions::max_new_tokens)
      .def_readwrite("min_new_tokens", &GenerationOptions::min_new_tokens)
      .def_readwrite("max_length_factor", &GenerationOptions::max_length_factor)
      .def_readwrite("length_penalty", &GenerationOptions::length_penalty)
      .def_readwrite("early_stopping", &GenerationOptions::early_stopping)
      .def_readwrite("renormalize_logits", &GenerationOptions::renormalize_logits)
      .def_readwrite("return_scores", &GenerationOptions::return_scores)
      .def_readwrite("decoder_start_token_id", &GenerationOptions::decoder_start_token_id)
      .def_readwrite("eos_token_ids", &GenerationOptions::eos_token_ids)
      .def_readwrite("forced_bos_token_id", &GenerationOptions::forced_bos_token_id)
      .def_readwrite("forced_eos_token_ids", &GenerationOptions::forced_eos_token_ids)
      .def_readwrite("suppress_tokens", &GenerationOptions::suppress_tokens)
      .def_readwrite("begin_suppress_tokens", &GenerationOptions::begin_suppress_tokens)
      .def_readwrite("bad_words_ids", &GenerationOptions::bad_words_ids)
      .def_readwrite("no_repeat_ngram_size", &GenerationOptions::no_repeat_ngram_size)
      .def_readwrite("encoder_no_repeat_ngram_size", &GenerationOptions::encoder_no_repeat_ngram_size)
      .def_readwrite("repetition_penalty", &GenerationOptions::repetition_penalty)
      .def_readwrite("encoder_repetition_penalty", &GenerationOptions::encoder_repetition_penalty)
      .def_readwrite("do_sample", &GenerationOptions::do_sample)
      .def_readwrite("temperature", &GenerationOptions::temperature)
      .def_readwrite("top_k", &GenerationOptions::top_k)
      .def_readwrite("top_p", &GenerationOptions::top_p)
      .def_readwrite("min_p", &GenerationOptions::min_p)
      .def_readwrite("seed", &GenerationOptions::seed);
}

}  // namespace

void bind_engine(py::module_& m) {
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      std::rethrow_exception(pointer);
    } catch (const ForkedAtWork& error) {
      py::set_error(py::module_::import("pyengine.errors").attr("ForkedError"), error.what());
    }
  });
  bind_options(m);
  py::class_<StopFlag>(m, "StopFlag").def(py::init<>()).def("set", &StopFlag::set);
  py::class_<TokenQueue>(m, "TokenQueue").def(py::init<>()).def("take", &take_tokens, py::arg("timeout"));
  py::class_<Engine>(m, "Engine")
      .def(py::init(&make_engine), py::arg("weights"), py::arg("isa") = "", py::arg("num_threads") = 1,
           py::arg("shortlist") = std::nullopt)
      .def("generate", &generate, py::arg("source_ids"), py::arg("source_offsets"), py::arg("options"),
           py::arg("batch_size"), py::arg("stop") = nullptr)
      .def("stream", &stream, py::arg("source_ids"), py::arg("options"), py::arg("tokens"),
           py::arg("batch_size"), py::arg("stop") = nullptr)
      .def("score", &score, py::arg("source_ids"), py::arg("source_offsets"), py::arg("target_ids"),
           py::arg("target_offsets"), py::arg("decoder_start_token_id"), py::arg("batch_size"))
      .def("score_texts", &score_texts, py::arg("ids"), py::arg("offsets"), py::arg("batch_size"))
      .def("logits", &logits, py::arg("source_ids"), py::arg("decoder_input_ids"))
      .def("encode", &encode_texts, py::arg("ids"), py::arg("offsets"), py::arg("batch_size"),
           py::arg("token_types") = Ids(0))
      .def("classify", &classify_texts, py::arg("ids"), py::arg("offsets"), py::arg("batch_size"),
           py::arg("token_types") = Ids(0))
      .def_property_readonly("lost_at_fork", &Engine::is_lost)
      .def_property_readonly("isa", &Engine::isa)
      .def_property_readonly("num_threads", &Engine::num_threads)
      .def_property_readonly("weight_bytes", &Engine::weight_bytes);
}

}  // namespace pyengine
