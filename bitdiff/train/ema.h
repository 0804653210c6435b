#pragma once

#include <vector>

#include "bitdiff/io/named_tensors.h"

namespace bitdiff {

/// The exponential moving average of a network's parameters. It begins as a copy of them: the
/// authors' code begins at another random point, which short runs would feel.
class Ema {
 public:
  Ema(double decay, const NamedTensors& parameters);

  /// average = decay * average + (1 - decay) * parameters.
  void update();

  const NamedTensors& averages() const { return averages_; }

  /// While it lives the network has the average as its weights.
  class Scope {
   public:
    explicit Scope(Ema& ema) : ema_(ema) { ema_.swap(); }
    ~Scope() { ema_.swap(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Ema& ema_;
  };

 private:
  void swap();

  double decay_;
  std::vector<Tensor> parameters_;
  NamedTensors averages_;
  std::vector<Tensor> average_list_;
};

}  // namespace bitdiff
