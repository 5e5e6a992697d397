// The actions of ch as functions: what words say on a command line is arguments here, what it
// prints as JSON is the result.
#include <atomic>
#include <cmath>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/base/memory_budget.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/table.h"
#include "mase/cli/export_action.h"
#include "mase/cli/interrupt.h"
#include "mase/cli/main.h"
#include "mase/cli/search_action.h"
#include "mase/cli/sweep_action.h"
#include "mase/cli/test_action.h"
#include "mase/cli/train_action.h"
#include "mase/cli/transform_action.h"
#include "mase/config/arguments.h"
#include "mase/graph/graph.h"
#include "mase/plugin/plugin_process.h"
#include "mase/plugin/serve_plugin.h"
#include "mase/run/lone_net.h"
#include "mase/run/reporter.h"
#include "nlohmann/json.hpp"
#include "pybind11/stl.h"
#include "python/binding/errors.h"
#include "python/binding/module.h"

namespace mase {
namespace {

namespace py = pybind11;

// What ends an action early. Ctrl-C is the main thread's, as in all of Python: it ends actions that
// were called there. Made and destroyed with the interpreter's lock.
class Interruption {
 public:
  Interruption() : of_main_thread_(IsMainThread()) { running_ += of_main_thread_ ? 1 : 0; }
  ~Interruption() {
    // Signals are Python's own again.
    if (of_main_thread_ && --running_ == 0) EndCatchingInterrupt();
  }
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  const std::atomic<bool>& Watch() const { return of_main_thread_ ? CatchInterrupt() : ended_; }
  void End() {
    if (of_main_thread_) {
      Interrupt();
    } else {
      ended_ = true;
    }
  }

 private:
  static bool IsMainThread() {
    const py::module_ threading = py::module_::import("threading");
    return threading.attr("current_thread")().is(threading.attr("main_thread")());
  }

  static inline int running_ = 0;  // In the main thread: what an action calls may call others.
  const bool of_main_thread_;
  std::atomic<bool> ended_ = false;
};

// Hands what an action says to functions of Python, each of which may be None. The first exception
// that one raises ends the action and is kept.
class PythonReporter final : public Reporter {
 public:
  PythonReporter(py::object message, py::object show, py::object progress)
      : message_(std::move(message)), show_(std::move(show)), progress_(std::move(progress)) {}

  // Ctrl-C, or an exception.
  const std::atomic<bool>& WatchInterrupt() const { return interruption_.Watch(); }

  void Message(LogLevel level, absl::string_view text) override {
    Call(message_, static_cast<int>(level), PrintableMessage(text));
  }
  void Print(absl::string_view text) override { Call(show_, Printable(text)); }
  void Show(const Table& table, absl::string_view whole) override {
    if (show_.is_none()) return;
    Table::Room room;
    room.whole = std::string(whole);
    Call(show_, table.Text(room));
  }
  void PrintJson(absl::string_view document) override { document_ = std::string(document); }
  void Wrote(absl::string_view directory) override { directory_ = std::string(directory); }

  Terminal progress() override {
    Terminal terminal;
    if (progress_.is_none()) return terminal;
    terminal.interactive = true;
    // Whole eighths of a second, and at each of them the task that is at work: many short ones, as
    // epochs of a small net are, would end before they had anything to tell by a finer clock.
    terminal.seconds = [clock = Terminal::Stderr().seconds] { return std::floor(clock() * 8) / 8; };
    terminal.write = [](absl::string_view) {};
    terminal.tell = [this](const ProgressFigures& figures) {
      Call(progress_, std::string(figures.label), figures.done, figures.total,
           std::string(figures.unit), std::string(figures.detail));
    };
    return terminal;
  }

  const std::string& document() const { return document_; }
  const std::string& directory() const { return directory_; }

  // Raises what a function raised.
  void Rethrow() const {
    if (raised_ != nullptr) std::rethrow_exception(raised_);
  }

 private:
  template <typename... Arguments>
  void Call(const py::object& function, Arguments... arguments) {
    if (function.is_none()) return;
    const py::gil_scoped_acquire locked;
    if (raised_ != nullptr) return;
    try {
      function(arguments...);
    } catch (...) {
      raised_ = std::current_exception();
      interruption_.End();
    }
  }

  Interruption interruption_;
  const py::object message_, show_, progress_;
  std::string document_, directory_;
  std::exception_ptr raised_;
};

std::unique_ptr<Action> MakeAction(const std::string& name, const std::string& word) {
  if (name == "transform") return MakeTransformAction();
  if (name == "train") return MakeTrainAction();
  if (name == "test") return MakeTestAction();
  if (name == "search") return MakeSearchAction();
  if (name == "sweep") return MakeSweepAction(word);
  if (name == "export") return MakeExportAction(word);
  Raise(absl::InvalidArgumentError(absl::StrCat("no action '", name, "'")));
}

// A keyword as the text of a flag: true, 8, name; a list joined by commas.
std::string FlagText(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const nlohmann::json& item : value) {
    absl::StrAppend(&text, text.empty() ? "" : ",", FlagText(item));
  }
  return text;
}

// Keywords that are the action's own flags, and the rest, which are settings.
void Distribute(const std::string& json, Action& action, Arguments& arguments) {
  const google::protobuf::Message* flags = action.own_flags();
  nlohmann::ordered_json settings = nlohmann::ordered_json::object();
  const auto keywords = nlohmann::ordered_json::parse(json);
  for (const auto& [name, value] : keywords.items()) {
    const bool own = flags != nullptr && flags->GetDescriptor()->FindFieldByName(name) != nullptr;
    if (!own) {
      settings[name] = value;
    } else if (name == "sweep") {  // Each axis by itself: its values may have commas.
      for (const auto& axis : value) arguments.process.emplace_back(name, FlagText(axis));
    } else if (!value.is_null()) {
      arguments.process.emplace_back(name, FlagText(value));
    }
  }
  arguments.texts.push_back({"arguments", settings.dump()});
}

absl::Status Guarded(Action& action, const ActionCall& call, Reporter& reporter) {
  try {
    return RunAction(action, call, reporter);
  } catch (const std::bad_alloc& error) {
    return OutOfMemory(error);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("unexpected exception: ", error.what()));
  }
}

// The document, the directory, and how it ended: code, exit code, message.
py::tuple Act(const std::string& name, const std::string& word,
              const std::vector<std::string>& positionals, const std::string& config,
              const std::string& config_json, const std::string& keywords,
              const std::vector<std::string>& command_line, py::object message, py::object show,
              py::object progress) {
  const std::unique_ptr<Action> action = MakeAction(name, word);
  ActionCall call;
  call.command_line = command_line;
  call.arguments.positionals = positionals;
  call.arguments.config = config;
  if (!config_json.empty()) call.arguments.texts.push_back({"config", config_json});
  Distribute(keywords, *action, call.arguments);
  PythonReporter reporter(std::move(message), std::move(show), std::move(progress));
  call.watch_interrupt = [&reporter]() -> const std::atomic<bool>& {
    return reporter.WatchInterrupt();
  };
  absl::Status status;
  {
    const py::gil_scoped_release unlocked;
    status = Guarded(*action, call, reporter);
  }
  reporter.Rethrow();
  return py::make_tuple(reporter.document(), reporter.directory(), CodeName(status),
                        ExitCode(status), MessageText(status));
}

Graph Load(const std::string& settings, const std::vector<int64_t>& input_shape, int64_t classes,
           py::object message) {
  Arguments arguments;
  arguments.texts.push_back({"arguments", settings});
  const LoadedConfig loaded = ValueOf(LoadConfig(arguments, {nullptr, /*read_passes=*/false}));
  PythonReporter reporter(std::move(message), py::none(), py::none());
  const NetFrame frame = {Shape(input_shape), classes};
  absl::StatusOr<Graph> graph = absl::UnknownError("");
  {
    const py::gil_scoped_release unlocked;
    graph = OpenLoneNet(loaded.config, frame, reporter);
  }
  reporter.Rethrow();
  return ValueOf(std::move(graph));
}

}  // namespace

void DefineActions(py::module_& module) {
  module.def("act", &Act, py::arg("name"), py::arg("word"), py::arg("positionals"),
             py::arg("config"), py::arg("config_json"), py::arg("keywords"),
             py::arg("command_line"), py::arg("message"), py::arg("show"), py::arg("progress"));
  module.def("load", &Load, py::arg("settings"), py::arg("input_shape"), py::arg("classes"),
             py::arg("message"));
  // How the interpreter is started to be the process of a plugin (isolation = "process").
  module.def("allow_plugin_processes", &AllowPluginProcesses, py::arg("words"));
  module.def("serve_plugin", [](std::vector<std::string> words) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    return ServePluginIfAsked(static_cast<int>(argv.size()), argv.data());
  });
}

}  // namespace mase
