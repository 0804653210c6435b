#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bitdiff/cuda/recorder.h"

namespace bitdiff {

/// What a GPU's recorder does, on the CPU: LibTorch's operations are put down with their tensors
/// and numbers as they are called, forwards and backwards, and repeated on the same tensors.
/// Whatever the work did besides is not repeated: loops of our own, and what is decided or computed
/// in C++. Throws c10::Error where work looks at a value, for which a GPU would be waited for.
class Tape final : public cuda::Recorder {
 public:
  Tape();
  ~Tape() override;

  void rehearse(const Work& work) override { work(); }
  size_t record(const Work& work) override;
  void repeat(size_t number) override;

  struct Step;

 private:
  std::vector<std::vector<Step>> recordings_;
};

/// Does all of the work again, as it was recorded but for what it reads: no test of what is not
/// repeated, but one of work with loops of our own.
class Again final : public cuda::Recorder {
 public:
  void rehearse(const Work& work) override { work(); }
  size_t record(const Work& work) override;
  void repeat(size_t number) override { works_.at(number)(); }

 private:
  std::vector<Work> works_;
};

}  // namespace bitdiff
