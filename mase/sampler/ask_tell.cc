// A sampler as a program, for comparisons with those of others (benchmarks/compare_search.py): asks
// on stdout, is told on stdin, a line of JSON each.
//
//   {"sampler": "tpe", "seed": 0, "directions": ["maximize", "minimize"],
//    "parameters": [{"name": "a", "choices": 3}, {"name": "b", "low": 0, "high": 9}],
//    "settings": "multivariate: true", "prefill": 1000}   that many random trials before the first
//   -> {"point": [1, 7]}           or {"end": "all 30 points of the search space are tried"}
//   {"values": [0.5, 8]}
//   -> {"point": ...}
//   {"end": true}
//   -> {"seconds": 0.01, "first": 0.001}   spent in the sampler, and of that for the first point
#include <time.h>

#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/text_format.h"
#include "mase/sampler/draws.h"
#include "mase/sampler/sampler.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

absl::StatusOr<ParameterSpace> SpaceOf(const nlohmann::json& task) {
  std::vector<SearchParameter> parameters;
  for (const auto& p : task.at("parameters")) {
    const std::string name = p.at("name");
    if (p.contains("choices")) {
      std::vector<ParameterChoice> choices;
      for (int64_t i = 0; i < p["choices"].get<int64_t>(); ++i) choices.emplace_back(i);
      parameters.push_back(CategoricalParameter(name, std::move(choices)));
    } else if (p.value("real", false)) {
      parameters.push_back(RealParameter(name, p["low"], p["high"]));
    } else {
      parameters.push_back(IntegerParameter(name, p["low"], p["high"]));
    }
  }
  return ParameterSpace::Create(std::move(parameters));
}

absl::StatusOr<std::unique_ptr<Sampler>> SamplerOf(const nlohmann::json& task,
                                                   const ParameterSpace& space) {
  std::vector<Direction> directions;
  for (const std::string direction : task.at("directions")) {
    directions.push_back(direction == "maximize" ? Direction::kMaximize : Direction::kMinimize);
  }
  SamplerSettings settings;
  if (!google::protobuf::TextFormat::MergeFromString(task.value("settings", ""), &settings)) {
    return absl::InvalidArgumentError("no such setting");
  }
  settings.set_name(task.at("sampler").get<std::string>());
  return MakeSampler(settings, space, std::move(directions), task.at("seed"));
}

// Of this thread at work, however busy the machine is.
double ThreadSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

int Run() {
  std::string line;
  std::getline(std::cin, line);
  const nlohmann::json task = nlohmann::json::parse(line);
  const auto space = SpaceOf(task);
  const auto sampler = space.ok() ? SamplerOf(task, *space) : space.status();
  if (!sampler.ok()) {
    std::cerr << sampler.status() << "\n";
    return 2;
  }
  TrialHistory history;
  const int64_t prefill = task.value("prefill", int64_t{0});
  for (int64_t number = 0; number < prefill; ++number) {
    Draws draws(1, number);
    Trial trial = {.number = number, .state = TrialState::kComplete};
    trial.point = RandomPoint(*space, draws);
    for (size_t i = 0; i < task.at("directions").size(); ++i) trial.values.push_back(draws.Unit());
    history.Add(std::move(trial));
  }
  double spent = 0, first = 0;
  for (int64_t number = prefill;; ++number) {
    const double begin = ThreadSeconds();
    const absl::StatusOr<Point> point = (*sampler)->Sample(number, history, {});
    spent += ThreadSeconds() - begin;
    if (number == prefill) first = spent;
    std::cout << (point.ok() ? nlohmann::json{{"point", *point}}
                             : nlohmann::json{{"end", std::string(point.status().message())}})
              << std::endl;
    if (!std::getline(std::cin, line)) return 1;
    const nlohmann::json told = nlohmann::json::parse(line);
    if (told.contains("end")) break;
    history.Add({.number = number,
                 .state = TrialState::kComplete,
                 .point = *point,
                 .values = told.at("values")});
  }
  std::cout << nlohmann::json{{"seconds", spent}, {"first", first}} << std::endl;
  return 0;
}

}  // namespace
}  // namespace mase

int main() { return mase::Run(); }
