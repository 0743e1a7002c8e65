// The engine as Python sees it. Arrays go in and out as NumPy; the interpreter's lock is released while the
// model runs.
#include "bind/engine_bind.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>

#include "base/float_environment.h"
#include "bind/fields_bind.h"
#include "bind/weights_bind.h"
#include "bind/without_gil.h"
#include "cpu/isa.h"
#include "engine.h"

namespace py = pybind11;

namespace pyengine {

// transformers' values: False, True and "never".
py::object to_python(EarlyStopping stopping) {
  if (stopping == EarlyStopping::kNever) return py::str("never");
  return py::bool_(stopping == EarlyStopping::kImmediate);
}

void from_python(py::handle object, EarlyStopping& stopping) {
  if (py::isinstance<py::bool_>(object)) {
    stopping = object.cast<bool>() ? EarlyStopping::kImmediate : EarlyStopping::kHeuristic;
  } else if (object.cast<std::string>() == "never") {
    stopping = EarlyStopping::kNever;
  } else {
    throw std::invalid_argument("another text, expected False, True or 'never'");
  }
}

namespace {

using Ids = py::array_t<std::int32_t, py::array::c_style>;
using Offsets = py::array_t<std::int64_t, py::array::c_style>;
using Floats = py::array_t<float, py::array::c_style>;

// A call of the engine by this thread. On the main thread, where alone Python runs the handlers of signals,
// one that is pending is looked for. What a handler raises is kept until it can be thrown with the lock held.
class Call {
 public:
  explicit Call(const CancelToken* token) : interrupts_{token, {}} {
    if (is_main_thread()) interrupts_.poll = *this;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Calls work(interrupts) without the interpreter's lock; raises what a handler raised.
  template <class Work>
  void run(Work work) {
    try {
      without_gil([&] { work(interrupts_); });
    } catch (const Interrupted&) {
      if (error_) throw py::error_already_set(*error_);
      throw;
    }
  }

  // True if a handler raised.
  bool operator()() {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() == 0) return false;
    error_ = std::make_unique<py::error_already_set>();
    return true;
  }

 private:
  static bool is_main_thread() {
    const py::object main_thread = py::module_::import("threading").attr("main_thread")();
    return py::cast<unsigned long>(main_thread.attr("ident")) == PyThread_get_thread_ident();
  }

  Interrupts interrupts_;
  std::unique_ptr<py::error_already_set> error_;
};

// Raises what a call with the token raises that has ended so.
void raise_ending(Ending ending) {
  const bool late = ending == Ending::kTimeUp;
  const char* const what = late ? "timeout: the time is up" : "the call was cancelled";
  py::set_error(py::module_::import("pyengine.errors").attr(late ? "DeadlineError" : "CancelledError"), what);
}

void check_token(const CancelToken& token) {
  if (const Ending ending = token.ending(); ending != Ending::kNone) {
    raise_ending(ending);
    throw py::error_already_set();
  }
}

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
                   const GenerationOptions& options, int batch_size, const CancelToken* cancel) {
  const Ragged sources = as_ragged(source_ids, source_offsets);
  std::vector<std::vector<Hypothesis>> results;
  Call call(cancel);
  call.run([&](const Interrupts& interrupts) {
    results = engine.generate(sources, options, batch_size, interrupts);
  });
  return pack_hypotheses(results, options.num_return_sequences);
}

// Closes the queue in any case, so that its reader ends.
void stream(Engine& engine, const Ids& source_ids, const GenerationOptions& options, TokenQueue& tokens,
            int batch_size, const CancelToken* cancel) {
  struct Closer {
    TokenQueue& tokens;
    ~Closer() { tokens.close(); }
  } const closer{tokens};
  const auto source = as_span(source_ids);
  Call call(cancel);
  call.run(
      [&](const Interrupts& interrupts) { engine.stream(source, options, tokens, batch_size, interrupts); });
}

std::vector<std::int32_t> take_tokens(TokenQueue& tokens, double timeout) {
  std::vector<std::int32_t> taken;
  without_gil([&] { taken = tokens.take(std::chrono::duration<double>(timeout)); });
  return taken;
}

Floats score(Engine& engine, const Ids& source_ids, const Offsets& source_offsets, const Ids& target_ids,
             const Offsets& target_offsets, std::int32_t decoder_start_token_id, int batch_size,
             const CancelToken* cancel) {
  const Ragged sources = as_ragged(source_ids, source_offsets);
  const Ragged targets = as_ragged(target_ids, target_offsets);
  Floats log_probs(target_ids.size());
  float* data = log_probs.mutable_data();
  Call call(cancel);
  call.run([&](const Interrupts& interrupts) {
    engine.score(sources, targets, decoder_start_token_id, batch_size, data, interrupts);
  });
  return log_probs;
}

// [total]; 0 for the first id of each text.
Floats score_texts(Engine& engine, const Ids& ids, const Offsets& offsets, int batch_size,
                   const CancelToken* cancel) {
  const Ragged texts = as_ragged(ids, offsets);
  Floats log_probs(ids.size());
  float* data = log_probs.mutable_data();
  std::fill_n(data, ids.size(), 0.0f);
  Call call(cancel);
  call.run([&](const Interrupts& interrupts) { engine.score(texts, batch_size, data, interrupts); });
  return log_probs;
}

Floats logits(Engine& engine, const Ids& source_ids, const Ids& decoder_input_ids,
              const CancelToken* cancel) {
  Floats result({static_cast<py::ssize_t>(decoder_input_ids.size()),
                 static_cast<py::ssize_t>(engine.config().vocab_size)});
  float* data = result.mutable_data();
  const auto source = as_span(source_ids), target = as_span(decoder_input_ids);
  Call call(cancel);
  call.run([&](const Interrupts& interrupts) { engine.logits(source, target, data, interrupts); });
  return result;
}

// `token_types` has as many entries as `ids`, or none: all are of type 0.
TypedTexts as_texts(const Ids& ids, const Offsets& offsets, const Ids& token_types) {
  return {as_ragged(ids, offsets), as_span(token_types)};
}

Floats encode_texts(Engine& engine, const Ids& ids, const Offsets& offsets, int batch_size,
                    const Ids& token_types, const CancelToken* cancel) {
  const TypedTexts texts = as_texts(ids, offsets, token_types);
  Floats result(
      {static_cast<py::ssize_t>(ids.size()), static_cast<py::ssize_t>(engine.config().hidden_size)});
  float* data = result.mutable_data();
  Call call(cancel);
  call.run([&](const Interrupts& interrupts) { engine.encode(texts, batch_size, data, interrupts); });
  return result;
}

Floats classify_texts(Engine& engine, const Ids& ids, const Offsets& offsets, int batch_size,
                      const Ids& token_types, const CancelToken* cancel) {
  const TypedTexts texts = as_texts(ids, offsets, token_types);
  Floats result(
      {static_cast<py::ssize_t>(texts.ids.size()), static_cast<py::ssize_t>(engine.config().num_labels)});
  float* data = result.mutable_data();
  Call call(cancel);
  call.run([&](const Interrupts& interrupts) { engine.classify(texts, batch_size, data, interrupts); });
  return result;
}

// FloatEnvironment for what Python computes itself.
struct EnteredEnvironment {
  std::optional<FloatEnvironment> entered;

  void enter() { entered.emplace(); }
  void exit(const py::args&) { entered.reset(); }
};

}  // namespace

void bind_engine(py::module_& m) {
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      std::rethrow_exception(pointer);
    } catch (const Interrupted& interrupted) {
      raise_ending(interrupted.ending);
    } catch (const ForkedAtWork& error) {
      py::set_error(py::module_::import("pyengine.errors").attr("ForkedError"), error.what());
    }
  });
  py::class_<GenerationOptions> options(m, "GenerationOptions");
  bind_fields(options);
  py::class_<CancelToken, std::shared_ptr<CancelToken>>(m, "CancelToken")
      .def(py::init([](std::optional<double> timeout, std::shared_ptr<CancelToken> parent) {
             return std::make_shared<CancelToken>(timeout, std::move(parent));
           }),
           py::arg("timeout") = std::nullopt, py::arg("parent") = nullptr)
      .def("cancel", &CancelToken::cancel)
      .def("check", &check_token)
      .def_property_readonly("cancelled",
                             [](const CancelToken& token) { return token.ending() != Ending::kNone; });
  py::class_<EnteredEnvironment>(m, "FloatEnvironment")
      .def(py::init<>())
      .def("__enter__", &EnteredEnvironment::enter)
      .def("__exit__", &EnteredEnvironment::exit);
  py::class_<TokenQueue>(m, "TokenQueue").def(py::init<>()).def("take", &take_tokens, py::arg("timeout"));
  py::class_<Engine>(m, "Engine")
      .def(py::init(&make_engine), py::arg("weights"), py::arg("isa") = "", py::arg("num_threads") = 1,
           py::arg("shortlist") = std::nullopt)
      .def("generate", &generate, py::arg("source_ids"), py::arg("source_offsets"), py::arg("options"),
           py::arg("batch_size"), py::arg("cancel") = nullptr)
      .def("stream", &stream, py::arg("source_ids"), py::arg("options"), py::arg("tokens"),
           py::arg("batch_size"), py::arg("cancel") = nullptr)
      .def("score", &score, py::arg("source_ids"), py::arg("source_offsets"), py::arg("target_ids"),
           py::arg("target_offsets"), py::arg("decoder_start_token_id"), py::arg("batch_size"),
           py::arg("cancel") = nullptr)
      .def("score_texts", &score_texts, py::arg("ids"), py::arg("offsets"), py::arg("batch_size"),
           py::arg("cancel") = nullptr)
      .def("logits", &logits, py::arg("source_ids"), py::arg("decoder_input_ids"),
           py::arg("cancel") = nullptr)
      .def("encode", &encode_texts, py::arg("ids"), py::arg("offsets"), py::arg("batch_size"),
           py::arg("token_types") = Ids(0), py::arg("cancel") = nullptr)
      .def("classify", &classify_texts, py::arg("ids"), py::arg("offsets"), py::arg("batch_size"),
           py::arg("token_types") = Ids(0), py::arg("cancel") = nullptr)
      .def_property_readonly("lost_at_fork", &Engine::is_lost)
      .def_property_readonly("isa", &Engine::isa)
      .def_property_readonly("num_threads", &Engine::num_threads)
      .def_property_readonly("weight_bytes", &Engine::weight_bytes);
}

}  // namespace pyengine
