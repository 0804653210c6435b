#pragma once

#include <cstdint>

/// The functions of libbitdiff_cuda.so: loops of our own on NVIDIA GPUs, built by nvcc where there
/// is one. Numbers and addresses only, so that neither side needs the other's headers; the program
/// opens it by name (see library.h) and does without where it is missing.
namespace bitdiff::cuda {

/// The type of images and sequences; what is said to be `float` is that always.
enum class Type { kFloat, kBFloat16 };

/// Where to compute.
struct Place {
  int device;
  void* stream;  ///< A cudaStream_t.
};

/// Images [B, H * W, C], whose channels may come in two arrays, one behind the other.
struct ImageShape {
  Type type;
  int64_t images, places;
  int64_t channels[2];  ///< Of each array; the second may be 0.
  int64_t groups;       ///< Of at most kMostChannels channels.
};

inline constexpr int64_t kMostChannels = 256;

/// y = silu(n * weight + bias), or without the silu; n = (x - mean) * rstd of each image and group.
struct GroupNormCall {
  ImageShape shape;
  bool silu;
  const void* x[2];
  const float *weight, *bias;  ///< [B, C].
  void* y;                     ///< [B, H * W, C].
  float *mean, *rstd;          ///< [B, groups].
};

/// The gradients of sum(y * dy) by x, weight and bias.
struct GroupNormGradientCall {
  ImageShape shape;
  bool silu;
  const void* x[2];
  const float *weight, *bias, *mean, *rstd;
  const void* dy;
  void* dx[2];
  float *dweight, *dbias;
};

/// Sequences [B, L, D].
struct SequenceShape {
  Type type;
  int64_t sequences, length, width;
};

/// y = n * weight + bias; n = (x - mean) * rstd of each position.
struct LayerNormCall {
  SequenceShape shape;
  const void* x;
  const float *weight, *bias;  ///< [B, D].
  void* y;
  float *mean, *rstd;  ///< [B, L].
};

struct LayerNormGradientCall {
  SequenceShape shape;
  const void* x;
  const float *weight, *mean, *rstd;
  const void* dy;
  void* dx;
  float *dweight, *dbias;
};

/// float32 [rows, length]: of each row the numbers that base/random.h gives it.
struct RandomCall {
  bool normal;  ///< Or uniform.
  uint64_t seed;
  const int64_t* rows;  ///< The number of each row's stream.
  int64_t count, length;
  float* to;
};

struct Kernels {
  /// Whether this GPU and its driver can run what was built.
  bool (*runs_on)(int device);
  // Each of these returns null, or what went wrong.
  const char* (*group_norm)(const GroupNormCall&, Place);
  const char* (*group_norm_gradient)(const GroupNormGradientCall&, Place);
  const char* (*layer_norm)(const LayerNormCall&, Place);
  const char* (*layer_norm_gradient)(const LayerNormGradientCall&, Place);
  const char* (*random)(const RandomCall&, Place);
};

/// The name of the library's one function, which returns its table. Changes when anything above
/// does.
inline constexpr const char* kEntry = "bitdiff_cuda_kernels_2";
using Entry = const Kernels* (*)();

}  // namespace bitdiff::cuda
