#include "mase/run/page/page.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/table_report.h"
#include "mase/run/page/html.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Everything that a run may have, with text from outside that would be markup.
FinishedRun FullRun(const std::string& name) {
  FinishedRun run;
  run.path = ::testing::TempDir();
  run.name = name;
  RunReport& report = run.report;
  report.set_action("train");
  report.set_status("ok");
  report.mutable_model()->set_name("jsc-tiny");
  report.mutable_model()->set_parameters(117);
  report.mutable_data()->set_name("a<b>");
  report.set_seconds(1.5);
  report.add_warnings("<script>alert('w')</script>");
  report.add_artifacts("graph.svg");
  MetricReport* accuracy = report.add_metrics();
  accuracy->set_name("accuracy");
  accuracy->set_stage("best");
  accuracy->set_split("test");
  accuracy->set_value(0.717);
  accuracy->set_low(0.688);
  accuracy->set_high(0.744);
  for (const char* of : {"gluon", "top"}) {
    ClassReport* one = report.add_classes();
    one->set_name(of);
    one->set_rows(10);
    one->add_taken_for(7);
    one->add_taken_for(3);
  }
  HistogramReport* histogram = report.add_histograms();
  histogram->set_node("fc1");
  histogram->set_tensor("weight");
  histogram->set_format("integer 8/4");
  histogram->set_high(1);
  for (int i = 0; i < 4; ++i) histogram->add_stored(i), histogram->add_computed(3 - i);
  Table table("costs", "Costs of each node", {{"node"}, {"MACs"}});
  table.AddRow({"fc1</td>", 1234567});
  PassReport* pass = report.add_passes();
  pass->set_name("calculate_flops");
  *pass->add_tables() = ReportOf(table);
  run.history = {{.epoch = 0, .rate = 0.1, .train_loss = 1.5, .val_loss = NAN, .val_acc = 0.5},
                 {.epoch = 1, .rate = 0.05, .train_loss = 1.25, .val_loss = 1.3, .val_acc = 0.6}};
  return run;
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(PageTest, HasAllOfARunAndNeedsNothingElse) {
  const FinishedRun run = FullRun("train-0001");
  ASSERT_OK(WriteFileAtomically(run.path + "/graph.svg", "<svg/>"));
  const std::string page = PageOf({&run, 1});
  for (const char* section : {"warnings", "metrics", "classes", "curves", "graph", "histograms",
                              "found", "passes", "files"}) {
    EXPECT_THAT(page, HasSubstr(std::string("<section id=\"") + section + "\">"));
  }
  EXPECT_THAT(page, AllOf(HasSubstr("<title>train jsc-tiny on a&lt;b&gt;</title>"),
                          HasSubstr("&lt;script&gt;alert"), HasSubstr("fc1&lt;/td&gt;"),
                          HasSubstr("1,234,567"), HasSubstr("0.688 to 0.744"),
                          HasSubstr("style=\"--s:0.70\">7</td>"),
                          HasSubstr("data:image/svg+xml;base64,PHN2Zy8+")));
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_EQ(Count(page, "src=\"http"), 0u);
  EXPECT_EQ(Count(page, "<link rel=\"stylesheet\""), 0u);
  EXPECT_EQ(Count(page, "@import"), 0u);
  EXPECT_EQ(Count(page, "<figure class=\"plot\""), 4u) << "loss, accuracy, rate, a histogram";
  EXPECT_EQ(Count(page, "<svg xmlns"), 4u) << "each is there without the script";
  EXPECT_EQ(Count(page, "<section"), Count(page, "</section>"));
  EXPECT_EQ(Count(page, "<table"), Count(page, "</table>"));
  EXPECT_LT(page.size(), size_t{1} << 20);
  EXPECT_EQ(PageOf({&run, 1}), page);
}

TEST(PageTest, SeveralRunsAreATableAndOnePicture) {
  const std::vector<FinishedRun> runs = {FullRun("a"), FullRun("b")};
  const std::string page = PageOf(runs);
  EXPECT_THAT(page, AllOf(HasSubstr("<title>2 runs</title>"), HasSubstr("id=\"run1-metrics\""),
                          HasSubstr("validation loss")));
  EXPECT_EQ(Count(page, "<details>"), 2u);
}

TEST(TableHtmlTest, NumbersStandRight) {
  Table table("t", "", {{"name"}, {.name = "time", .unit = "ms", .decimals = 2}});
  table.AddRow({"a & b", 1.5});
  EXPECT_THAT(TableHtml(table), AllOf(HasSubstr("<th scope=\"col\" class=\"n\">time (ms)</th>"),
                                      HasSubstr("<td>a &amp; b</td><td class=\"n\">1.50</td>")));
  EXPECT_EQ(TableHtml(Table("t", "", {{"a"}})), "");
}

}  // namespace
}  // namespace mase
