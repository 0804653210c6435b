#include "bitdiff/cuda/kernels.cuh"
#include "bitdiff/cuda/launch.cuh"
#include "bitdiff/cuda/numbers.cuh"

namespace bitdiff::cuda {
namespace {

constexpr float kLayerNormEps = 1e-6F;
constexpr int kLanes = 32;  // Of a warp.
constexpr int kWarps = kThreads / kLanes;

// The sum of x over the lanes of a warp, for each of them.
__device__ float sum_lanes(float x) {
  for (int apart = kLanes / 2; apart > 0; apart /= 2) x += __shfl_xor_sync(~0U, x, apart);
  return x;
}

// A warp has one position; its lanes have the numbers lane, lane + 32, ... of it.
struct Position {
  __device__ explicit Position(const SequenceShape& shape)
      : index(static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kLanes),
        exists(index < shape.sequences * shape.length),
        begin(threadIdx.x % kLanes),
        end(exists ? shape.width : 0),
        first(index * shape.width),
        weights(index / shape.length * shape.width) {}

  int64_t index;
  bool exists;
  int64_t begin, end;
  int64_t first, weights;  // Where its numbers begin, and the weights of its sequence.
};

template <typename T>
__global__ void layer_norm_kernel(LayerNormCall call) {
  const Position at(call.shape);
  const auto width = static_cast<float>(call.shape.width);
  const T* x = static_cast<const T*>(call.x) + at.first;
  T* y = static_cast<T*>(call.y) + at.first;

  float sum = 0;
  for (int64_t i = at.begin; i < at.end; i += kLanes) sum += widen(x[i]);
  const float mean = sum_lanes(sum) / width;
  // A second pass, for the difference of two large moments would lose digits.
  float squares = 0;
  for (int64_t i = at.begin; i < at.end; i += kLanes)
    squares += (widen(x[i]) - mean) * (widen(x[i]) - mean);
  const float rstd = 1.0F / sqrtf(sum_lanes(squares) / width + kLayerNormEps);

  const float *weight = call.weight + at.weights, *bias = call.bias + at.weights;
  for (int64_t i = at.begin; i < at.end; i += kLanes)
    narrow((widen(x[i]) - mean) * rstd * weight[i] + bias[i], y[i]);
  if (at.exists && at.begin == 0) {
    call.mean[at.index] = mean;
    call.rstd[at.index] = rstd;
  }
}

// With n = (x - mean) * rstd and E the mean over a position:
// dx = rstd * (weight * dy - E[weight * dy] - n * E[weight * dy * n]).
template <typename T>
__global__ void layer_norm_gradient_kernel(LayerNormGradientCall call) {
  const Position at(call.shape);
  const auto width = static_cast<float>(call.shape.width);
  const T* x = static_cast<const T*>(call.x) + at.first;
  const T* dy = static_cast<const T*>(call.dy) + at.first;
  T* dx = static_cast<T*>(call.dx) + at.first;
  const float* weight = call.weight + at.weights;
  const float mean = at.exists ? call.mean[at.index] : 0,
              rstd = at.exists ? call.rstd[at.index] : 0;

  float offset = 0, along = 0;
  for (int64_t i = at.begin; i < at.end; i += kLanes) {
    const float slope = weight[i] * widen(dy[i]);
    offset += slope;
    along += slope * (widen(x[i]) - mean) * rstd;
  }
  offset = sum_lanes(offset) / width;
  along = sum_lanes(along) / width;
  for (int64_t i = at.begin; i < at.end; i += kLanes) {
    const float n = (widen(x[i]) - mean) * rstd;
    narrow(rstd * (weight[i] * widen(dy[i]) - offset - n * along), dx[i]);
  }
}

// A block has 32 neighbouring weights of one sequence, a warp every kWarps-th position of it.
template <typename T>
__global__ void layer_norm_weight_gradient_kernel(LayerNormGradientCall call) {
  __shared__ float weights[kWarps][kLanes], biases[kWarps][kLanes];
  const auto& shape = call.shape;
  const int64_t blocks = (shape.width + kLanes - 1) / kLanes, sequence = blockIdx.x / blocks;
  const unsigned warp = threadIdx.x / kLanes, lane = threadIdx.x % kLanes;
  const int64_t column = blockIdx.x % blocks * kLanes + lane;
  const bool exists = column < shape.width;

  float dweight = 0, dbias = 0;
  for (int64_t i = warp; exists && i < shape.length; i += kWarps) {
    const int64_t position = sequence * shape.length + i, at = position * shape.width + column;
    const float slope = widen(static_cast<const T*>(call.dy)[at]);
    const float x = widen(static_cast<const T*>(call.x)[at]);
    dweight += slope * (x - call.mean[position]) * call.rstd[position];
    dbias += slope;
  }
  weights[warp][lane] = dweight;
  biases[warp][lane] = dbias;
  __syncthreads();
  if (warp != 0 || !exists) return;
  for (int i = 1; i < kWarps; ++i) {
    dweight += weights[i][lane];
    dbias += biases[i][lane];
  }
  call.dweight[sequence * shape.width + column] = dweight;
  call.dbias[sequence * shape.width + column] = dbias;
}

int64_t blocks_of_positions(const SequenceShape& shape) {
  return (shape.sequences * shape.length + kWarps - 1) / kWarps;
}

}  // namespace

const char* layer_norm(const LayerNormCall& call, Place place) {
  const auto kernel =
      call.shape.type == Type::kFloat ? layer_norm_kernel<float> : layer_norm_kernel<BFloat16>;
  return launch(kernel, blocks_of_positions(call.shape), place, call);
}

const char* layer_norm_gradient(const LayerNormGradientCall& call, Place place) {
  const bool full = call.shape.type == Type::kFloat;
  const auto kernel =
      full ? layer_norm_gradient_kernel<float> : layer_norm_gradient_kernel<BFloat16>;
  if (const char* error = launch(kernel, blocks_of_positions(call.shape), place, call))
    return error;
  const auto of_weights =
      full ? layer_norm_weight_gradient_kernel<float> : layer_norm_weight_gradient_kernel<BFloat16>;
  const int64_t blocks = call.shape.sequences * ((call.shape.width + kLanes - 1) / kLanes);
  return launch(of_weights, blocks, place, call);
}

}  // namespace bitdiff::cuda
