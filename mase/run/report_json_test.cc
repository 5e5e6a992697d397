#include "mase/run/report_json.h"

#include <cmath>
#include <string>
#include <utility>

#include "mase/base/table_report.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

RunReport Sample() {
  RunReport report;
  report.set_action("train");
  for (const char* name : {"zlib", "abseil", "mase"}) (*report.mutable_versions())[name] = "1";
  PassReport* pass = report.add_passes();
  for (const char* name : {"b", "a", "c"}) {
    (*pass->mutable_counts())[name] = 2;
    (*pass->mutable_result()->mutable_fields())[name].set_number_value(0.5);
  }
  MetricReport* metric = report.add_metrics();
  metric->set_name("loss");
  metric->set_value(0.1f);
  return report;
}

TEST(ReportJsonTest, KeysHaveOneOrder) {
  const std::string json = ReportJson(Sample());
  EXPECT_LT(json.find("\"action\""), json.find("\"status\""));
  EXPECT_LT(json.find("\"abseil\""), json.find("\"mase\""));
  EXPECT_LT(json.find("\"mase\""), json.find("\"zlib\""));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ReportJson(Sample()), json);  // Hash maps differ by run.
}

TEST(ReportJsonTest, NumbersAreNumbersOrNull) {
  RunReport report = Sample();
  report.add_metrics()->set_name("lost");
  report.set_seconds(NAN);
  auto& fields = *report.mutable_passes(0)->mutable_result()->mutable_fields();
  fields["sqnr"].set_number_value(INFINITY);
  const std::string json = ReportJson(report);
  EXPECT_THAT(json, AllOf(HasSubstr("\"value\": 0.10000000149011612"), HasSubstr("\"value\": null"),
                          HasSubstr("\"seconds\": null"), HasSubstr("\"sqnr\": null"),
                          HasSubstr("\"a\": 2"), HasSubstr("\"best_epoch\": null")));
  EXPECT_THAT(json, Not(HasSubstr("NaN")));
  EXPECT_THAT(json, Not(HasSubstr("Infinity")));
}

TEST(ReportJsonTest, RowsOfTablesAreLists) {
  RunReport report = Sample();
  Table table("costs", "Costs", {{"node"}, {"share", "%", 1}, {"ours"}, {"why"}});
  table.AddRow({"linear", 12.5, true, Cell()});
  *report.mutable_passes(0)->add_tables() = ReportOf(table);
  const std::string json = ReportJson(report);
  EXPECT_THAT(json, HasSubstr("\"linear\",\n       12.5,\n       true,\n       null\n"));
  const RunReport read = ValueOrDie(ParseReportJson(json, "s.json"));
  EXPECT_EQ(ReportJson(read), json);
  EXPECT_EQ(ValueOrDie(TableOf(read.passes(0).tables(0))).Csv(), table.Csv());
}

TEST(ReportJsonTest, IsReadBack) {
  RunReport report = Sample();
  report.set_best_epoch(0);
  report.add_metrics()->set_name("lost");
  report.mutable_data()->add_class_names("ill");
  report.add_command_line("train");
  const RunReport read = ValueOrDie(ParseReportJson(ReportJson(report), "s.json"));
  EXPECT_EQ(ReportJson(read), ReportJson(report));
  EXPECT_TRUE(read.has_best_epoch());
  EXPECT_TRUE(read.metrics(0).has_value());
  EXPECT_FALSE(read.metrics(1).has_value());

  EXPECT_OK(ParseReportJson("{\"a later field\": {}}", "s.json"));
}

TEST(ReportJsonTest, WhereASummaryIsDamagedIsSaid) {
  const std::string whole = ReportJson(Sample());
  const std::pair<std::string, absl::string_view> damaged[] = {
      {"", "s.json:1:1: the text is no JSON from here on: 'unexpected end of input"},
      {whole.substr(0, whole.find("\"mase\"") + 3), "s.json:"},
      {"{\n \"seconds\": 3,,\n}", "s.json:2:15: the text is no JSON from here on: 'unexpected ','"},
      {"[]", "s.json:1:1: want an object"},
      {"{\"seconds\": \"long\"}", "s.json: has not what the summary of a run has: '"},
  };
  for (const auto& [text, says] : damaged) {
    EXPECT_THAT(ParseReportJson(text, "s.json"),
                StatusIs(absl::StatusCode::kDataLoss,
                         AllOf(StartsWith(std::string(says)), HasSubstr("cut or damaged"),
                               Not(HasSubstr("json.exception")))))
        << text;
  }
}

TEST(ReportJsonTest, SettingsAreAnObjectWithoutTheRunDirectory) {
  RunConfig config;
  config.mutable_model()->set_name("jsc-tiny");
  config.set_learning_rate(1e-5);
  config.set_max_steps(-1);
  config.set_run_dir("/somewhere");
  RunReport report;
  SetSettings(config, report);
  EXPECT_THAT(ReportJson(report),
              AllOf(HasSubstr("\"learning_rate\": 1e-05"), HasSubstr("\"max_steps\": -1"),
                    HasSubstr("\"name\": \"jsc-tiny\""), Not(HasSubstr("run_dir"))));
}

TEST(ReportJsonTest, BytesThatAreNoTextAreReplaced) {
  RunReport report;
  report.add_command_line("a\xff");
  EXPECT_THAT(ReportJson(report), HasSubstr("a\uFFFD"));
}

}  // namespace
}  // namespace mase
