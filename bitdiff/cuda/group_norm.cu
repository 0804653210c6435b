#include <initializer_list>

#include "bitdiff/cuda/kernels.cuh"
#include "bitdiff/cuda/launch.cuh"
#include "bitdiff/cuda/numbers.cuh"

namespace bitdiff::cuda {
namespace {

constexpr float kGroupNormEps = 1e-5F;

// A block has some whole groups of one image, `width` channels; a thread has V neighbouring ones of
// them, its column, at every rows-th place. Threads that are too many for whole rows have no
// places.
template <int V>
struct Share {
  __device__ Share(const ImageShape& shape, int width)
      : all(shape.channels[0] + shape.channels[1]),
        image(blockIdx.x / (all / width)),
        columns(width / V),
        rows(kThreads / columns),
        column(threadIdx.x % columns),
        row(threadIdx.x / columns),
        channel(blockIdx.x % (all / width) * width + column * V),
        begin(row < rows ? row : shape.places),
        end(shape.places),
        columns_of_group(static_cast<int>(all / shape.groups) / V),
        group(image * shape.groups + channel / (all / shape.groups)),
        count(static_cast<float>(shape.places * (all / shape.groups))) {}

  int64_t all, image;
  int columns, rows, column, row;
  int64_t channel, begin, end;  // The first channel of the column; its places.
  int columns_of_group;
  int64_t group;  // Of all groups of all images.
  float count;    // The numbers of a group.
};

// Numbers of a thread's channels: those of the next place lie `step` further.
template <typename T>
struct Column {
  T* first;
  int64_t step;
  __device__ T* at(int64_t place) const { return first + place * step; }
};

template <int V, typename T>
__device__ Column<T> column_of(T* whole, const Share<V>& share) {
  return {whole + share.image * share.end * share.all + share.channel, share.all};
}

template <typename T, int V, typename Void>
__device__ Column<T> column_of_parts(Void* const (&part)[2], const ImageShape& shape,
                                     const Share<V>& share) {
  // Not by index: arrays that are indexed at run time are copied to memory.
  const bool second = share.channel >= shape.channels[0];
  const int64_t channels = second ? shape.channels[1] : shape.channels[0];
  const int64_t channel = second ? share.channel - shape.channels[0] : share.channel;
  T* first = static_cast<T*>(second ? part[1] : part[0]);
  return {first + share.image * share.end * channels + channel, channels};
}

template <int N>
struct Shared {
  float at[N][kThreads];
};

// Leaves in shared.at[n][column] the sum of numbers[n] over the rows of that column.
template <int N, int V>
__device__ void sum_rows(const float (&numbers)[N], const Share<V>& share, Shared<N>& shared) {
  const auto thread = threadIdx.x;
  __syncthreads();  // The sums of before may still be read.
  for (int n = 0; n < N; ++n) shared.at[n][thread] = numbers[n];
  for (int count = share.rows; count > 1; count = (count + 1) / 2) {
    const int half = (count + 1) / 2;
    __syncthreads();
    if (share.row < count - half)
      for (int n = 0; n < N; ++n)
        shared.at[n][thread] += shared.at[n][thread + half * share.columns];
  }
  __syncthreads();
}

// The sum of sums[column] over the columns of this thread's group.
template <int V>
__device__ float sum_columns(const float (&sums)[kThreads], const Share<V>& share) {
  const int first = share.column / share.columns_of_group * share.columns_of_group;
  float sum = 0;
  for (int i = 0; i < share.columns_of_group; ++i) sum += sums[first + i];
  return sum;
}

template <typename T, int V>
__global__ void group_norm_kernel(GroupNormCall call, int width) {
  __shared__ Shared<1> shared;
  const Share<V> share(call.shape, width);
  const auto x = column_of_parts<const T>(call.x, call.shape, share);

  float sum[1] = {0};
  for (int64_t place = share.begin; place < share.end; place += share.rows) {
    const auto numbers = load<V>(x.at(place));
    for (int v = 0; v < V; ++v) sum[0] += numbers.at[v];
  }
  sum_rows(sum, share, shared);
  const float mean = sum_columns(shared.at[0], share) / share.count;

  // A second pass, for the difference of two large moments would lose digits.
  float squares[1] = {0};
  for (int64_t place = share.begin; place < share.end; place += share.rows) {
    const auto numbers = load<V>(x.at(place));
    for (int v = 0; v < V; ++v) squares[0] += (numbers.at[v] - mean) * (numbers.at[v] - mean);
  }
  sum_rows(squares, share, shared);
  const float rstd = 1.0F / sqrtf(sum_columns(shared.at[0], share) / share.count + kGroupNormEps);
  if (share.row == 0) {
    call.mean[share.group] = mean;
    call.rstd[share.group] = rstd;
  }

  const int64_t first = share.image * share.all + share.channel;
  const auto y = column_of(static_cast<T*>(call.y), share);
  for (int64_t place = share.begin; place < share.end; place += share.rows) {
    auto numbers = load<V>(x.at(place));
    for (int v = 0; v < V; ++v) {
      const float z =
          (numbers.at[v] - mean) * (call.weight[first + v] * rstd) + call.bias[first + v];
      numbers.at[v] = call.silu ? silu(z) : z;
    }
    store(numbers, y.at(place));
  }
}

// With n = (x - mean) * rstd, z = n * weight + bias, dz the gradient by z, and E the mean over a
// group: dx = rstd * (weight * dz - E[weight * dz] - n * E[weight * dz * n]).
template <typename T, int V>
__global__ void group_norm_gradient_kernel(GroupNormGradientCall call, int width) {
  __shared__ Shared<2 * V> shared;
  const Share<V> share(call.shape, width);
  const auto x = column_of_parts<const T>(call.x, call.shape, share);
  const auto dy = column_of(static_cast<const T*>(call.dy), share);
  const int64_t first = share.image * share.all + share.channel;
  const float mean = call.mean[share.group], rstd = call.rstd[share.group];
  float weight[V], bias[V];
  for (int v = 0; v < V; ++v) {
    weight[v] = call.weight[first + v];
    bias[v] = call.bias[first + v];
  }
  const auto dz_of = [&](float n, float dy_of, int v) {
    return call.silu ? dy_of * silu_slope(n * weight[v] + bias[v]) : dy_of;
  };

  float sums[2 * V] = {};  // Of dz, then of dz * n.
  for (int64_t place = share.begin; place < share.end; place += share.rows) {
    const auto numbers = load<V>(x.at(place)), slopes = load<V>(dy.at(place));
    for (int v = 0; v < V; ++v) {
      const float n = (numbers.at[v] - mean) * rstd, dz = dz_of(n, slopes.at[v], v);
      sums[v] += dz;
      sums[V + v] += dz * n;
    }
  }
  sum_rows(sums, share, shared);
  if (share.row == 0) {
    float offset = 0, along = 0;
    for (int v = 0; v < V; ++v) {
      const float dbias = shared.at[v][share.column], dweight = shared.at[V + v][share.column];
      call.dbias[first + v] = dbias;
      call.dweight[first + v] = dweight;
      offset += weight[v] * dbias;
      along += weight[v] * dweight;
    }
    // No other thread looks at this column before the barrier.
    shared.at[0][share.column] = offset;
    shared.at[1][share.column] = along;
  }
  __syncthreads();
  const float offset = sum_columns(shared.at[0], share) / share.count;
  const float along = sum_columns(shared.at[1], share) / share.count;

  const auto dx = column_of_parts<T>(call.dx, call.shape, share);
  for (int64_t place = share.begin; place < share.end; place += share.rows) {
    auto numbers = load<V>(x.at(place));
    const auto slopes = load<V>(dy.at(place));
    for (int v = 0; v < V; ++v) {
      const float n = (numbers.at[v] - mean) * rstd, dz = dz_of(n, slopes.at[v], v);
      numbers.at[v] = rstd * (weight[v] * dz - offset - n * along);
    }
    store(numbers, dx.at(place));
  }
}

// The channels of a block: whole groups, as few as make 32 channels, which lie together in memory.
int width_of(const ImageShape& shape) {
  const int64_t group = (shape.channels[0] + shape.channels[1]) / shape.groups;
  int64_t taken = 1;
  while (taken < shape.groups && (taken * group < 32 || shape.groups % taken != 0)) ++taken;
  return static_cast<int>(taken * group <= kMostChannels ? taken * group : group);
}

bool lies_at_multiple_of(size_t bytes, const void* address) {
  return reinterpret_cast<uintptr_t>(address) % bytes == 0;
}

// Whether four neighbours may be read at once: of one group and one array.
bool in_fours(const ImageShape& shape, std::initializer_list<const void*> addresses) {
  const int64_t group = (shape.channels[0] + shape.channels[1]) / shape.groups;
  const size_t bytes = 4 * (shape.type == Type::kFloat ? sizeof(float) : sizeof(BFloat16));
  for (const auto* address : addresses)
    if (!lies_at_multiple_of(bytes, address)) return false;
  return group % 4 == 0 && shape.channels[0] % 4 == 0 && shape.channels[1] % 4 == 0;
}

int64_t blocks_of(const ImageShape& shape) {
  return shape.images * ((shape.channels[0] + shape.channels[1]) / width_of(shape));
}

}  // namespace

const char* group_norm(const GroupNormCall& call, Place place) {
  const auto& shape = call.shape;
  const bool fours = in_fours(shape, {call.x[0], call.x[1], call.y});
  const auto kernel =
      shape.type == Type::kFloat
          ? (fours ? group_norm_kernel<float, 4> : group_norm_kernel<float, 1>)
          : (fours ? group_norm_kernel<BFloat16, 4> : group_norm_kernel<BFloat16, 1>);
  return launch(kernel, blocks_of(shape), place, call, width_of(shape));
}

const char* group_norm_gradient(const GroupNormGradientCall& call, Place place) {
  const auto& shape = call.shape;
  const bool fours = in_fours(shape, {call.x[0], call.x[1], call.dy, call.dx[0], call.dx[1]});
  const auto kernel =
      shape.type == Type::kFloat
          ? (fours ? group_norm_gradient_kernel<float, 4> : group_norm_gradient_kernel<float, 1>)
          : (fours ? group_norm_gradient_kernel<BFloat16, 4>
                   : group_norm_gradient_kernel<BFloat16, 1>);
  return launch(kernel, blocks_of(shape), place, call, width_of(shape));
}

}  // namespace bitdiff::cuda
