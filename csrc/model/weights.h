// The parameters of a Transformer, packed for the kernels. weight_plan.h says what a model holds of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/array.h"
#include "base/fields.h"
#include "kernels/kernels.h"
#include "model/config.h"

namespace pyengine {

// What the weights of the products and the token tables are held and multiplied as.
enum class WeightType { kFloat32, kBfloat16, kInt8 };

// A weight [depth, columns] in panels of kPanelWidth columns, see kernels/pack.h.
struct PanelsF32 {
  Array<float> values;

  template <class Visit>
  static constexpr void visit_fields(const Visit& visit) {
    visit("values", &PanelsF32::values);
  }
};
struct PanelsBf16 {
  Array<Bfloat16> values;

  template <class Visit>
  static constexpr void visit_fields(const Visit& visit) {
    visit("values", &PanelsBf16::values);
  }
};
// An int8 weight is scale * (value - zero point); zero points are 0 but in files whose quantiser took others.
struct PanelsS8 {
  Array<std::int8_t> values;
  Array<float> scales;              // [columns]
  Array<std::int32_t> zero_points;  // [columns]
  Array<std::int32_t> column_sums;  // [columns]

  template <class Visit>
  static constexpr void visit_fields(const Visit& visit) {
    visit("values", &PanelsS8::values);
    visit("scales", &PanelsS8::scales);
    visit("zero_points", &PanelsS8::zero_points);
    visit("column_sums", &PanelsS8::column_sums);
  }
};
// Some columns of an int8 weight, which lie apart in a table of all of them, see GatheredS8Args.
struct GatheredS8 {
  Array<std::int8_t> table;
  Array<std::int32_t> rows;         // [columns]
  Array<float> scales;              // [columns]
  Array<std::int32_t> zero_points;  // [columns]
  Array<std::int32_t> column_sums;  // [columns]

  template <class Visit>
  static constexpr void visit_fields(const Visit& visit) {
    visit("table", &GatheredS8::table);
    visit("rows", &GatheredS8::rows);
    visit("scales", &GatheredS8::scales);
    visit("zero_points", &GatheredS8::zero_points);
    visit("column_sums", &GatheredS8::column_sums);
  }
};
using Panels = std::variant<PanelsF32, PanelsBf16, PanelsS8, GatheredS8>;

// Calls visit(array) for each array of a weight, whatever its type.
template <class Visit>
void visit_arrays(const Panels& panels, const Visit& visit) {
  const auto visit_all = [&]<class Type>(const Type& weight) {
    static_assert(num_declared<Type>() == num_members<Type>());
    Type::visit_fields([&](const char*, auto field) { visit(weight.*field); });
  };
  std::visit(visit_all, panels);
}

// y = x W + b.
struct Linear {
  int in_features = 0;
  int out_features = 0;
  Panels panels;      // [in_features, out_features]
  Array<float> bias;  // [out_features], zeros where the model has none
};

struct LayerNorm {
  Array<float> gamma;  // [hidden_size]
  Array<float> beta;   // [hidden_size]
};
struct RmsNorm {
  Array<float> gamma;  // [hidden_size]
};
using Norm = std::variant<LayerNorm, RmsNorm>;

// Token embeddings are columns of a packed weight: that of the output projection where the model ties them,
// so that the table is held once. Reading a column costs microseconds a token.
struct Embedding {
  Panels tokens;  // [hidden_size, vocab]
  Array<float>
      positions;  // [position_rows, hidden_size], in an encoder with token types as often as there are
                  // types, that of the type added; empty where the model has no table of positions
  std::optional<Norm> norm;
};

struct SelfAttentionWeights {
  Linear query_key_value;  // [hidden_size, attention_size + 2 * key_value_size], one product for the three
                           // projections; in an encoder both sizes are the same
  Linear output;           // [attention_size, hidden_size]
  Norm norm;
};

// Simple recurrent unit: what stands in place of self-attention, see Kernels::ssru.
struct SsruWeights {
  Linear input_and_gate;  // [hidden_size, 2 * hidden_size], one product for both
  Norm norm;
};

struct CrossAttentionWeights {
  Linear query;      // [hidden_size, attention_size]
  Linear key_value;  // [hidden_size, 2 * attention_size], applied once to each source token
  Linear output;     // [attention_size, hidden_size]
  Norm norm;
};

// activation(x Wg) * (x Wv), see Kernels::gate.
struct GatedLinear {
  Linear gate_and_value;  // [hidden_size, 2 * ffn_dim], one product for both
};

struct FeedForwardWeights {
  std::variant<Linear, GatedLinear> up;  // [hidden_size, ffn_dim]
  Linear down;                           // [ffn_dim, hidden_size]
  Norm norm;
};

// The head of a model that classifies: output(activation(dense(x))) of a sentence's first token.
struct ClassifierWeights {
  Linear dense;   // [hidden_size, hidden_size]
  Linear output;  // [hidden_size, num_labels]
};

struct EncoderLayerWeights {
  SelfAttentionWeights self_attention;
  FeedForwardWeights feed_forward;
};

// What stands in place of cross-attention in a decoder alone.
struct NoSource {};
using SourceWeights = std::variant<CrossAttentionWeights, NoSource>;

// How a position of the decoder sees those before it.
using HistoryWeights = std::variant<SelfAttentionWeights, SsruWeights>;

struct DecoderLayerWeights {
  HistoryWeights history;
  SourceWeights source;
  FeedForwardWeights feed_forward;
};

// A stack that the model does not have is left empty.
struct Weights {
  Embedding encoder_embedding;
  std::vector<EncoderLayerWeights> encoder_layers;
  Array<float> encoder_bias;     // relative positions only, see relative_bias.h
  Norm encoder_norm;             // pre-norm models only: after the last layer
  ClassifierWeights classifier;  // where config.num_labels > 0
  Embedding decoder_embedding;
  Array<float> rotary;  // [max_positions][decoder_head_dim] cosines of a position's angles, then their sines;
                        // where config.position_kind is kRotary
  std::vector<DecoderLayerWeights> decoder_layers;
  Array<float> decoder_bias;
  Norm decoder_norm;                 // pre-norm models only
  Linear lm_head;                    // [hidden_size, vocab_size]
  Array<std::int8_t> lm_head_table;  // its columns for GatheredS8, see add_candidate_table()

  // All of the above in the order of weight_plan.h, which is that of packed files; shared ones each time.
  std::vector<Array<std::byte>> arrays;

  // Bytes held, shared tables counted once.
  std::size_t bytes() const;
};

}  // namespace pyengine
