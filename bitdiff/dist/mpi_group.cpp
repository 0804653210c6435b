#include "bitdiff/dist/mpi_group.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <limits>
#include <mpi.h>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

namespace bitdiff {
namespace {

using Clock = std::chrono::steady_clock;

/// The first process may draw samples or write a checkpoint while the others wait.
constexpr auto kDeadline = std::chrono::minutes(30);
/// From then on a waiting process leaves its core to others.
constexpr auto kPatience = std::chrono::milliseconds(100);
constexpr auto kNap = std::chrono::microseconds(100);

void check(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw DistributedError("MPI failed to ", what, ": ", std::string(text, length),
                         "; another process may have ended");
}

void wait_for(MPI_Request& request, const char* what) {
  const auto start = Clock::now();
  for (int done = 0;;) {
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), what);
    if (done) return;
    const auto waited = Clock::now() - start;
    if (waited > kDeadline) {
      throw DistributedError("waited 30 minutes for the other processes to ", what,
                             "; one of them hangs");
    }
    if (waited > kPatience) {
      std::this_thread::sleep_for(kNap);
    } else {
      std::this_thread::yield();
    }
  }
}

MPI_Datatype type_of(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return MPI_FLOAT;
    case at::kDouble:
      return MPI_DOUBLE;
    case at::kLong:
      return MPI_INT64_T;
    default:
      TORCH_CHECK(false, "expected float32, float64 or int64 to sum, got ", tensor.scalar_type());
  }
}

int count_of(int64_t count) {
  TORCH_CHECK(count <= std::numeric_limits<int>::max(), "MPI counts in int, got ", count);
  return static_cast<int>(count);
}

void check_dense(const Tensor& tensor) {
  TORCH_CHECK(tensor.device().is_cpu() && tensor.is_non_overlapping_and_dense(),
              "expected a tensor without gaps on the CPU, got strides ", tensor.strides());
}

class MpiSum final : public PendingSum {
 public:
  MpiSum(const Tensor& own, const Tensor& sum, MPI_Comm comm) : own_(own), sum_(sum) {
    // Apart, not in place: Open MPI has its fast algorithms for large messages only so.
    check(MPI_Iallreduce(own.const_data_ptr(), sum.mutable_data_ptr(), count_of(own.numel()),
                         type_of(own), MPI_SUM, comm, &request_),
          "sum");
  }
  void poll() override {
    int done = 0;
    check(MPI_Test(&request_, &done, MPI_STATUS_IGNORE), "sum");
  }
  void wait() override { wait_for(request_, "sum"); }

 private:
  Tensor own_, sum_;  // MPI reads and writes them.
  MPI_Request request_ = MPI_REQUEST_NULL;
};

/// One row of `rows` as a type of MPI, whose counts are too small for bytes.
class RowType {
 public:
  explicit RowType(const Tensor& rows) {
    const int64_t bytes =
        rows.defined() && rows.size(0) > 0 ? static_cast<int64_t>(rows.nbytes()) / rows.size(0) : 1;
    check(MPI_Type_contiguous(count_of(bytes), MPI_BYTE, &type_), "describe rows");
    check(MPI_Type_commit(&type_), "describe rows");
  }
  ~RowType() { MPI_Type_free(&type_); }
  RowType(const RowType&) = delete;
  RowType& operator=(const RowType&) = delete;
  MPI_Datatype get() const { return type_; }

 private:
  MPI_Datatype type_ = MPI_DATATYPE_NULL;
};

class MpiGroup final : public Group {
 public:
  MpiGroup(MPI_Comm comm, int rank, int size) : Group(rank, size), comm_(comm) {}
  ~MpiGroup() override {
    if (std::uncaught_exceptions() == 0) MPI_Finalize();
  }

  std::unique_ptr<PendingSum> start_sum(const Tensor& own, const Tensor& sum) override;
  void broadcast(const Tensor& value) override;
  Tensor gather_rows(const Tensor& rows) override;
  void barrier() override;

 private:
  MPI_Comm comm_;
};

std::unique_ptr<PendingSum> MpiGroup::start_sum(const Tensor& own, const Tensor& sum) {
  check_dense(own);
  check_dense(sum);
  TORCH_CHECK(own.strides() == sum.strides() && own.dtype() == sum.dtype(),
              "start_sum: expected tensors alike");
  return std::make_unique<MpiSum>(own, sum, comm_);
}

void MpiGroup::broadcast(const Tensor& value) {
  check_dense(value);
  constexpr int64_t kMost = int64_t{1} << 30;
  auto* const data = static_cast<char*>(value.mutable_data_ptr());
  const auto bytes = static_cast<int64_t>(value.nbytes());
  for (int64_t at = 0; at < bytes; at += kMost) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(
        MPI_Ibcast(data + at, count_of(std::min(kMost, bytes - at)), MPI_BYTE, 0, comm_, &request),
        "broadcast");
    wait_for(request, "broadcast");
  }
}

Tensor MpiGroup::gather_rows(const Tensor& rows) {
  const Tensor own = rows.defined() ? rows.contiguous() : rows;
  const int count = own.defined() ? count_of(own.size(0)) : 0;
  TORCH_CHECK(!first() || count > 0, "gather_rows: the first process must have a row");
  std::vector<int> counts(size());
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Igather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, 0, comm_, &request), "gather");
  wait_for(request, "gather");

  std::vector<int> begins(size());
  std::exclusive_scan(counts.begin(), counts.end(), begins.begin(), 0);
  Tensor all;
  if (first()) {
    auto shape = own.sizes().vec();
    shape[0] = begins.back() + counts.back();
    all = at::empty(shape, own.options());
  }
  const RowType row(own);
  check(MPI_Igatherv(count > 0 ? own.const_data_ptr() : nullptr, count, row.get(),
                     first() ? all.mutable_data_ptr() : nullptr, counts.data(), begins.data(),
                     row.get(), 0, comm_, &request),
        "gather");
  wait_for(request, "gather");
  return all;
}

void MpiGroup::barrier() {
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Ibarrier(comm_, &request), "meet");
  wait_for(request, "meet");
}

}  // namespace

std::unique_ptr<Group> join_mpi(const Launch&) {
  // Rabenseifner's algorithm: between two or three processes Open MPI would take one that sends
  // everything there and then everything back. Others do not know the variable.
  ::setenv("OMPI_MCA_coll_libnbc_iallreduce_algorithm", "rabenseifner", /*overwrite=*/0);
  int level = 0;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level), "start");
  // What fails is reported by check, in one line.
  check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "start");
  int rank = 0, size = 0;
  check(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "start");
  check(MPI_Comm_size(MPI_COMM_WORLD, &size), "start");
  return std::make_unique<MpiGroup>(MPI_COMM_WORLD, rank, size);
}

void end_group(int code) {
  int joined = 0, left = 0;
  MPI_Initialized(&joined);
  MPI_Finalized(&left);
  if (joined && !left) MPI_Abort(MPI_COMM_WORLD, code);
}

}  // namespace bitdiff
