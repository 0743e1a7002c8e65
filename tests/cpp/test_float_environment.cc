#include <doctest/doctest.h>

#include <cfenv>

#include "base/float_environment.h"
#include "random_model.h"

using namespace pyengine;
using namespace pyengine::testing;

namespace {

// Rounds upwards, and where this processor can makes zeros of denormal numbers.
void set_unusual() {
#if defined(__x86_64__)
  _mm_setcsr(0xdfc0);  // up, flush to zero, denormals are zero, all exceptions masked
#else
  std::fesetround(FE_UPWARD);
#endif
}

// Neither is decided by the compiler.
volatile float g_tiny = 1e-40f, g_one = 1.0f, g_epsilon = 1e-10f;

bool is_usual() { return g_tiny * g_one > 0.0f && g_one + g_epsilon == 1.0f; }

}  // namespace

TEST_CASE("a float environment is the usual one, and gives back what was") {
  CHECK(is_usual());
  set_unusual();
  CHECK_FALSE(is_usual());
  try {
    const FloatEnvironment environment;
    CHECK(is_usual());
    throw 1;
  } catch (int) {
    CHECK_FALSE(is_usual());
  }
  std::fesetenv(FE_DFL_ENV);
  CHECK(is_usual());
}

TEST_CASE("results do not depend on the environment of the callers, nor of who started the pool") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  const Weights weights = model.weights(WeightType::kInt8);
  Engine engine(config, weights, select_kernels(""), 4);
  const Sources sources(12, 30, config.source_vocab_size);
  const auto expected = generate(engine, sources.ragged(), small_options(3), 4);
  set_unusual();
  {
    ThreadPool pool;  // its threads are made now
    bool usual[4] = {true, true, true, true};
    pool.run(64, 4, [&](int, int thread) {
      if (thread > 0 && !is_usual()) usual[thread] = false;
    });
    for (const bool one : usual) CHECK(one);
  }
  const auto found = generate(engine, sources.ragged(), small_options(3), 4);
  const auto poll = [] { return is_usual(); };  // runs as its caller does: it goes on
  const auto polled = engine.generate(sources.ragged(), small_options(3), 4, {nullptr, poll});
  CHECK_FALSE(is_usual());
  std::fesetenv(FE_DFL_ENV);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(equal(found[i], expected[i]));
    CHECK(equal(polled[i], expected[i]));
  }
}
