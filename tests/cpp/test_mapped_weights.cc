#include <doctest/doctest.h>

#include <cstring>

#include "model/mapped_weights.h"
#include "random_model.h"

using namespace pyengine;
using namespace pyengine::testing;

namespace {

// The arrays of weights one after another, as a file holds them.
struct Packed {
  AlignedBuffer<std::byte> memory;
  std::vector<std::uint64_t> offsets;

  explicit Packed(const Weights& weights) {
    std::size_t end = 0;
    for (const Array<std::byte>& array : weights.arrays) {
      offsets.push_back(end);
      end += (array.bytes() + kAlignment - 1) / kAlignment * kAlignment;
    }
    memory = AlignedBuffer<std::byte>(end);
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      std::memcpy(memory.data() + offsets[i], weights.arrays[i].data(), weights.arrays[i].bytes());
    }
  }

  std::span<const std::byte> bytes() const { return {memory.data(), memory.size()}; }
};

constexpr WeightType kTypes[] = {WeightType::kFloat32, WeightType::kBfloat16, WeightType::kInt8};

}  // namespace

TEST_CASE("mapped weights compute what the packed ones do, to the bit") {
  ModelConfig config = small_config();
  SUBCASE("post-norm") {}
  SUBCASE("pre-norm") { config.normalize_before = true; }
  SUBCASE("SSRU") { config.decoder_kind = DecoderKind::kSsru; }
  SUBCASE("pre-norm SSRU") {
    config.decoder_kind = DecoderKind::kSsru;
    config.normalize_before = true;
  }
  SUBCASE("rows before the first position") { config.position_offset = 2; }
  SUBCASE("unusual") { config = unusual_config(); }
  SUBCASE("a decoder alone") { config = decoder_config(); }
  RandomModel model(config);
  const Sources sources(6, 30, config.source_vocab_size);
  for (const WeightType type : kTypes) {
    const Packed packed(model.weights(type));
    Engine expected(config, model.weights(type), select_kernels(""), 1);
    Engine mapped(config, map_weights(config, type, false, nullptr, packed.bytes(), packed.offsets),
                  select_kernels(""), 1);
    const auto a = generate(expected, sources.ragged(), small_options(3, 40), 6);
    const auto b = generate(mapped, sources.ragged(), small_options(3, 40), 6);
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(equal(a[i], b[i]));
  }
}

TEST_CASE("mapped weights keep the memory they lie in") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  auto packed = std::make_shared<const Packed>(model.weights());
  Weights weights =
      map_weights(config, WeightType::kFloat32, false, packed, packed->bytes(), packed->offsets);
  const std::weak_ptr<const Packed> watched = packed;
  packed.reset();
  CHECK(!watched.expired());
  weights = {};
  CHECK(watched.expired());
}

TEST_CASE("mapped weights lie inside the memory") {
  ModelConfig config = small_config();
  config.normalize_before = true;
  RandomModel model(config);
  for (const WeightType type : kTypes) {
    const Packed packed(model.weights(type));
    const auto refuse = [&](std::span<const std::byte> bytes, const std::vector<std::uint64_t>& offsets) {
      CHECK_THROWS_AS(map_weights(config, type, false, nullptr, bytes, offsets), std::invalid_argument);
    };
    for (std::size_t i = 0; i < packed.offsets.size(); ++i) {
      for (const std::uint64_t offset : {packed.offsets[i] + 4, packed.offsets[i] + kAlignment,
                                         packed.bytes().size(), ~std::uint64_t{0}, ~std::uint64_t{63}}) {
        std::vector<std::uint64_t> offsets = packed.offsets;
        offsets[i] = offset;
        refuse(packed.bytes(), offsets);
      }
    }
    std::vector<std::uint64_t> offsets = packed.offsets;
    offsets.pop_back();
    refuse(packed.bytes(), offsets);
    offsets = packed.offsets;
    offsets.push_back(0);
    refuse(packed.bytes(), offsets);
    refuse(packed.bytes().subspan(4), packed.offsets);
    refuse(packed.bytes().first(packed.bytes().size() - kAlignment), packed.offsets);
    refuse({}, packed.offsets);
  }
}

TEST_CASE("mapped weights of sizes that overflow are refused") {
  const ModelConfig config = small_config();
  RandomModel model(config);
  const Packed packed(model.weights());
  const auto refuse = [&](int ModelConfig::*size, int value, int ModelConfig::*other, int other_value) {
    ModelConfig changed = config;
    changed.*size = value;
    changed.*other = other_value;
    CHECK_THROWS_AS(
        map_weights(changed, WeightType::kFloat32, false, nullptr, packed.bytes(), packed.offsets),
        std::invalid_argument);
  };
  for (const int value : {1 << 16, 1 << 20, 1 << 24, 1 << 30, 0x7fffffff}) {
    refuse(&ModelConfig::encoder_num_heads, value, &ModelConfig::encoder_head_dim, value);
    refuse(&ModelConfig::decoder_num_heads, value, &ModelConfig::decoder_head_dim, value);
    refuse(&ModelConfig::hidden_size, value, &ModelConfig::vocab_size, value);
    refuse(&ModelConfig::max_positions, value, &ModelConfig::token_types, value);
    refuse(&ModelConfig::max_positions, value, &ModelConfig::position_offset, value);
    refuse(&ModelConfig::encoder_layers, value, &ModelConfig::decoder_layers, value);
    refuse(&ModelConfig::encoder_ffn_dim, value, &ModelConfig::decoder_ffn_dim, value);
  }
}
