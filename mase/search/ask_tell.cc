// A sampler as a program, for comparisons with those of others (benchmarks/compare_search.py): asks
// on stdout, is told on stdin, a line of JSON each.
//
//   {"sampler": "tpe", "seed": 0, "directions": ["maximize", "minimize"],
//    "parameters": [{"name": "a", "choices": 3}, {"name": "b", "low": 0, "high": 9}],
//    "settings": "multivariate: true"}
//   -> {"point": [1, 7]}           or {"end": "all 30 points of the search space are tried"}
//   {"values": [0.5, 8]}
//   -> {"point": ...}
//   {"end": true}
//   -> {"seconds": 0.01}           spent in the sampler
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "google/protobuf/text_format.h"
#include "mase/search/sampler.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

absl::StatusOr<std::unique_ptr<Sampler>> SamplerOf(const nlohmann::json& task) {
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
  auto space = ParameterSpace::Create(std::move(parameters));
  if (!space.ok()) return space.status();
  std::vector<Direction> directions;
  for (const std::string direction : task.at("directions")) {
    directions.push_back(direction == "maximize" ? Direction::kMaximize : Direction::kMinimize);
  }
  SamplerSettings settings;
  SamplerSettings::Name name;
  if (!SamplerSettings::Name_Parse(absl::AsciiStrToUpper(task.at("sampler").get<std::string>()),
                                   &name) ||
      !google::protobuf::TextFormat::MergeFromString(task.value("settings", ""), &settings)) {
    return absl::InvalidArgumentError("no such sampler or setting");
  }
  settings.set_name(name);
  return MakeSampler(settings, *space, std::move(directions), task.at("seed"));
}

int Run() {
  std::string line;
  std::getline(std::cin, line);
  auto sampler = SamplerOf(nlohmann::json::parse(line));
  if (!sampler.ok()) {
    std::cerr << sampler.status() << "\n";
    return 2;
  }
  TrialHistory history;
  absl::Duration spent;
  Trial trial;
  for (int64_t number = 0;; ++number) {
    const absl::Time begin = absl::Now();
    const absl::StatusOr<Point> point = (*sampler)->Sample(number, history, {});
    spent += absl::Now() - begin;
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
  std::cout << nlohmann::json{{"seconds", absl::ToDoubleSeconds(spent)}} << std::endl;
  return 0;
}

}  // namespace
}  // namespace mase

int main() { return mase::Run(); }
