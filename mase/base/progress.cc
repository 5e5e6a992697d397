#include "mase/base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "mase/base/progress_text.h"

namespace mase {
namespace {

constexpr double kSecondsBetweenDraws = 0.1;  // On a terminal.
constexpr double kSecondsBetweenLines = 5;    // Elsewhere.

}  // namespace

std::string ClockText(double seconds) {
  const int64_t whole = static_cast<int64_t>(std::min(seconds, 359999.0));  // 99:59:59.
  if (whole < 3600) return absl::StrFormat("%02d:%02d", whole / 60, whole % 60);
  return absl::StrFormat("%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
}

Terminal Terminal::Stderr() {
  Terminal terminal;
  terminal.interactive = ::isatty(STDERR_FILENO) == 1;
  winsize size;
  if (terminal.interactive && ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.columns = size.ws_col;
  }
  terminal.seconds = [] {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
  };
  terminal.write = [](absl::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
  };
  return terminal;
}

Progress::Progress(std::string label, int64_t total, std::string unit, Terminal terminal)
    : label_(std::move(label)),
      total_(total),
      unit_(std::move(unit)),
      terminal_(std::move(terminal)) {
  if (!terminal_.seconds) return;
  start_s_ = terminal_.seconds();
  next_draw_s_ = start_s_ + seconds_between_draws();  // What ends at once leaves no flicker.
}

Progress::~Progress() {
  if (drawn_ && terminal_.interactive) terminal_.write(kEraseLine);
}

void Progress::Update(int64_t done, absl::FunctionRef<std::string()> detail) {
  if (!terminal_.seconds) return;
  const double now_s = terminal_.seconds();
  if (now_s < next_draw_s_) return;
  next_draw_s_ = now_s + seconds_between_draws();
  drawn_ = true;
  std::string line = Line(done, now_s - start_s_);
  const std::string more = detail();
  if (terminal_.tell) terminal_.tell({label_, done, total_, unit_, more});
  if (!more.empty()) absl::StrAppend(&line, " ", more);
  // The last column stays free: some terminals wrap when it is written.
  line.resize(std::min(line.size(), static_cast<size_t>(std::max(terminal_.columns - 1, 0))));
  terminal_.write(terminal_.interactive ? absl::StrCat(kEraseLine, line)
                                        : absl::StrCat(line, "\n"));
}

double Progress::seconds_between_draws() const {
  return terminal_.interactive ? kSecondsBetweenDraws : kSecondsBetweenLines;
}

std::string Progress::Line(int64_t done, double elapsed_s) const {
  const double rate = elapsed_s > 0 ? static_cast<double>(done) / elapsed_s : 0;
  const std::string speed =
      rate < 10 ? absl::StrFormat("%.2f/s", rate) : absl::StrFormat("%.0f/s", rate);
  if (total_ <= 0) {
    return absl::StrCat(label_, " ", done, " ", unit_, " [", ClockText(elapsed_s), ", ", speed,
                        "]");
  }
  const int64_t left = std::max<int64_t>(total_ - done, 0);
  const std::string eta = rate > 0 ? ClockText(static_cast<double>(left) / rate) : "?";
  return absl::StrCat(label_, " ", absl::StrFormat("%3d%%", 100 * done / total_), " ", done, "/",
                      total_, " ", unit_, " [", ClockText(elapsed_s), "<", eta, ", ", speed, "]");
}

}  // namespace mase
