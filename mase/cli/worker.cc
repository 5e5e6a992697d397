#include "mase/cli/worker.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"
#include "google/protobuf/util/delimited_message_util.h"
#include "mase/base/last_words.h"
#include "mase/base/memory_budget.h"
#include "mase/base/status.h"
#include "mase/cli/log.h"
#include "mase/cli/worker_protocol.pb.h"

namespace mase {
namespace {

namespace io = google::protobuf::io;

constexpr uint32_t kMaxRequestBytes = 64 << 20;
constexpr size_t kMaxOutputBytes = 1 << 20;
constexpr int kInterrupted = 130;  // base/status.h

// Where stdout and stderr go while actions run: a file in memory, since stdout is Bazel's.
class Capture {
 public:
  // Takes the two from the process; -1 as protocol() where that fails.
  Capture() : file_(memfd_create("output", MFD_CLOEXEC)), protocol_(dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    const bool taken = file_ >= 0 && protocol_ >= 0 && fcntl(protocol_, F_SETFD, FD_CLOEXEC) == 0 &&
                       dup2(file_, STDOUT_FILENO) >= 0;
    if (!taken) protocol_ = -1;
  }

  int protocol() const { return protocol_; }

  // What `run` prints. Messages go there as well, but those of the worker itself do not.
  std::string Of(const std::function<void()>& run) const {
    const int log = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    dup2(file_, STDERR_FILENO);
    SetLastWordsOutput(log);  // An action that ends the worker says so in Bazel's log of it.
    run();
    std::fflush(stdout);
    std::cout.flush();
    SetLastWordsOutput(STDERR_FILENO);
    dup2(log, STDERR_FILENO);
    close(log);
    std::string text(std::clamp<off_t>(lseek(file_, 0, SEEK_END), 0, kMaxOutputBytes), '\0');
    const ssize_t read = pread(file_, text.data(), text.size(), 0);
    text.resize(static_cast<size_t>(std::max<ssize_t>(read, 0)));
    if (ftruncate(file_, 0) == 0) lseek(file_, 0, SEEK_SET);
    return text;
  }

 private:
  const int file_;
  int protocol_;
};

bool IsAtEnd(io::ZeroCopyInputStream& in) {
  const void* data = nullptr;
  int size = 0;
  while (size == 0) {
    if (!in.Next(&data, &size)) return true;
  }
  in.BackUp(size);
  return false;
}

// DataLoss for what is no request.
absl::StatusOr<WorkRequest> ReadRequest(io::ZeroCopyInputStream& in) {
  io::CodedInputStream coded(&in);
  uint32_t size = 0;
  if (!coded.ReadVarint32(&size)) {
    return absl::DataLossError("stdin has no length of a request");
  }
  if (size > kMaxRequestBytes) {
    return absl::DataLossError(absl::StrCat("a request on stdin has ", size, " bytes; at most ",
                                            kMaxRequestBytes, " are read"));
  }
  const auto limit = coded.PushLimit(static_cast<int>(size));
  WorkRequest request;
  const bool parsed = request.ParseFromCodedStream(&coded) && coded.BytesUntilLimit() == 0;
  coded.PopLimit(limit);
  if (parsed) return request;
  return absl::DataLossError("stdin has no request of Bazel's worker protocol (protobuf)");
}

}  // namespace

int RunWorker(const std::function<int(std::vector<std::string> words)>& run) {
  const int requests = dup(STDIN_FILENO);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const Capture capture;
  if (requests < 0 || nothing < 0 || capture.protocol() < 0) {
    Log(LogLevel::kError, "--persistent_worker: stdin and stdout cannot be taken");
    return 1;
  }
  dup2(nothing, STDIN_FILENO);
  io::FileInputStream in(requests);
  io::FileOutputStream out(capture.protocol());
  const int64_t memory = MemoryLimit();
  while (!IsAtEnd(in)) {
    const absl::StatusOr<WorkRequest> request = ReadRequest(in);
    if (!request.ok()) {
      Log(LogLevel::kError, absl::StrCat("--persistent_worker: ", request.status().message()));
      return ExitCode(request.status());
    }
    if (request->cancel()) continue;  // The request that it names is answered.
    SetMemoryLimit(memory);
    WorkResponse response;
    response.set_request_id(request->request_id());
    response.set_output(capture.Of([&] {
      const auto& words = request->arguments();
      response.set_exit_code(run({words.begin(), words.end()}));
    }));
    const bool sent =
        google::protobuf::util::SerializeDelimitedToZeroCopyStream(response, &out) && out.Flush();
    if (!sent) return 1;
    if (response.exit_code() == kInterrupted) return kInterrupted;
  }
  return 0;
}

}  // namespace mase
