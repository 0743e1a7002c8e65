// Draws a token by its probability, from what transformers' warpers leave of a row.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <vector>

#include "decode/options.h"
#include "kernels/kernels.h"

namespace pyengine {

// Temperature, top-k, top-p (Holtzman et al. 2020), min-p (Nguyen et al. 2024), typical-p (Meister et al.
// 2023), in this order. Of equal logits at the border of the k best, the lower ids stay.
class Sampler {
 public:
  struct Choice {
    std::int32_t id;
    float logit;
    float weight = 0.0f;  // its probability up to a factor; set by draw()
  };
  struct Draw {
    std::int32_t id;  // -1 if there was no choice
    float log_prob;   // of being drawn
  };

  // `most`: choices at most.
  Sampler(const GenerationOptions& options, const Kernels& kernels, std::size_t most,
          std::pmr::memory_resource* memory);

  // Where draw() takes the choices from: logits above -inf. With top-k in any order, else in one that is the
  // same for the same row.
  std::pmr::vector<Choice>& choices() { return choices_; }

  // The choice at the quantile `uniform` in [0, 1) of those left: most probable first if there is a top-k,
  // else in the order given.
  Draw draw(double uniform);

 private:
  void keep_top_k();
  void weigh();
  void keep_top_p();
  void keep_typical();
  template <class IsBefore>
  Choice last_of_share(double share, IsBefore is_before);

  const GenerationOptions& options_;
  const Kernels& kernels_;
  std::pmr::vector<Choice> choices_;
  std::pmr::vector<float> values_;    // of the choices, for the kernel
  std::pmr::vector<Choice> scratch_;  // of last_of_share()
};

}  // namespace pyengine
