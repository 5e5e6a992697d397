#include "mase/run/finished_run.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/run/report_json.h"
#include "mase/run/run_table.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// A run's directory with a summary of this status, accuracy and learning rate.
void MakeRun(const fs::path& folder, const std::string& status, double accuracy, double rate) {
  fs::create_directories(folder);
  RunReport report;
  report.set_action("train");
  report.set_status(status);
  if (status == "failed") report.set_error("loss is nan");
  report.mutable_model()->set_name("jsc-tiny");
  if (accuracy > 0) {
    MetricReport* metric = report.add_metrics();
    metric->set_name("accuracy");
    metric->set_stage("best");
    metric->set_split("test");
    metric->set_value(accuracy);
    metric->set_samples(100);
    metric->set_correct(static_cast<uint32_t>(100 * accuracy));
  }
  (*report.mutable_settings()->mutable_fields())["learning_rate"].set_number_value(rate);
  ASSERT_OK(WriteFileAtomically((folder / "summary.json").string(), ReportJson(report)));
}

std::vector<std::string> NamesOf(const FinishedRuns& read) {
  std::vector<std::string> names;
  for (const FinishedRun& run : read.runs) names.push_back(run.name);
  return names;
}

TEST(ReadRunsTest, AFolderStandsForAllRunsBelowItLinksForWhatTheyLeadTo) {
  const fs::path root = NewFolder();
  MakeRun(root / "p" / "train-0001", "ok", 0.5, 1e-3);
  MakeRun(root / "p" / "train-0002", "failed", 0, 1e-1);
  MakeRun(root / "q" / "train-0001", "ok", 0.75, 1e-2);
  fs::create_symlink("train-0002", root / "p" / "train-latest");
  const FinishedRuns read = ReadRuns({root.string()});
  EXPECT_OK(read.problems);
  EXPECT_THAT(NamesOf(read), ElementsAre("p/train-0001", "p/train-0002", "q/train-0001"));
  EXPECT_THAT(NamesOf(ReadRuns({(root / "p" / "train-latest").string(), (root / "p").string()})),
              ElementsAre("train-latest", "train-0001"))
      << "each once";
}

TEST(ReadRunsTest, WhatIsNoRunIsNamedWithWhatIsMissing) {
  const fs::path root = NewFolder();
  MakeRun(root / "a", "ok", 0.5, 1e-3);
  fs::create_directories(root / "empty");
  fs::create_directories(root / "torn");
  ASSERT_OK(WriteFileAtomically((root / "torn" / "summary.json").string(), "{\"action\": "));
  fs::create_directories(root / "died");
  ASSERT_OK(WriteFileAtomically((root / "died" / "settings.textproto").string(), "seed: 1"));
  const FinishedRuns read = ReadRuns(
      {(root / "a").string(), (root / "empty").string(), (root / "none").string(),
       (root / "torn").string(), (root / "died").string(), (root / "a" / "summary.json").string()});
  EXPECT_THAT(NamesOf(read), ElementsAre("a", "died"));
  EXPECT_EQ(read.runs[1].report.status(), kUnfinished);
  EXPECT_THAT(std::string(read.problems.message()),
              AllOf(HasSubstr("empty: no run: it has neither summary.json nor"),
                    HasSubstr("none: there is no such directory"), HasSubstr("torn"),
                    HasSubstr("cut or damaged"), HasSubstr("is a file, want the directory")));
}

// While it lives folders are shut to root, too, whose tests these may be.
class WithoutPrivileges {
 public:
  WithoutPrivileges() {
    EXPECT_EQ(syscall(SYS_capget, &header_, had_), 0);
    __user_cap_data_struct fewer[2] = {had_[0], had_[1]};
    fewer[0].effective &= ~((1u << CAP_DAC_OVERRIDE) | (1u << CAP_DAC_READ_SEARCH));
    EXPECT_EQ(syscall(SYS_capset, &header_, fewer), 0);
  }
  ~WithoutPrivileges() { EXPECT_EQ(syscall(SYS_capset, &header_, had_), 0); }

 private:
  __user_cap_header_struct header_ = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct had_[2];
};

TEST(ReadRunsTest, AFolderThatCannotBeReadIsNotCalledEmpty) {
  const fs::path root = NewFolder();
  MakeRun(root / "shut" / "run", "ok", 0.5, 1e-3);
  fs::permissions(root / "shut", fs::perms::none);
  for (const fs::path& path : {root, root / "shut"}) {
    const WithoutPrivileges ordinary;
    const FinishedRuns read = ReadRuns({path.string()});
    EXPECT_THAT(read.problems,
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("Permission denied"), Not(HasSubstr("no run")))));
  }
  fs::permissions(root / "shut", fs::perms::owner_all);
  fs::create_symlink("round", root / "round");
  EXPECT_THAT(ReadRuns({(root / "round").string()}).problems,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("symbolic links")));
}

TEST(ReadRunsTest, HistoryIsReadWhereThereIsOne) {
  const fs::path root = NewFolder();
  MakeRun(root, "ok", 0.5, 1e-3);
  const std::string header = "epoch,lr,train_loss,val_loss,val_acc,val_correct,val_total,seconds\n";
  const std::string file = (root / "history.csv").string();
  ASSERT_OK(WriteFileAtomically(file, header + "0,0.1,1.5,nan,0.5,5,10,0.25\n"));
  const FinishedRuns read = ReadRuns({root.string()});
  ASSERT_EQ(read.runs.size(), 1u);
  ASSERT_EQ(read.runs[0].history.size(), 1u);
  EXPECT_EQ(read.runs[0].history[0].train_loss, 1.5);
  ASSERT_OK(WriteFileAtomically(file, header + "zero\n"));
  EXPECT_THAT(ReadRuns({root.string()}).problems,
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("history.csv:2")));
}

TEST(RunTableTest, ColumnsSortAndWhatIsMissing) {
  const fs::path root = NewFolder();
  MakeRun(root / "a", "ok", 0.5, 1e-3);
  MakeRun(root / "b", "failed", 0, 1e-1);
  MakeRun(root / "c", "ok", 0.75, 1e-2);
  const FinishedRuns read = ReadRuns({root.string()});
  const auto csv = [&](const std::vector<std::string>& columns, const char* sort) {
    return ValueOrDie(RunTable(read.runs, columns, sort)).Csv();
  };
  EXPECT_EQ(csv({"run", "status", "accuracy"}, "-accuracy"),
            "run,status,accuracy\nc,ok,0.75\na,ok,0.5\nb,failed,\n");
  EXPECT_EQ(csv({"run", "settings.learning_rate"}, "settings.learning_rate"),
            "run,settings.learning_rate\na,0.001\nc,0.01\nb,0.1\n");
  EXPECT_EQ(csv({"run", "error"}, ""), "run,error\na,\nb,loss is nan\nc,\n");
  EXPECT_EQ(csv(DefaultRunColumns(), "").substr(0, 59),
            "run,action,model,data,status,split,accuracy,low,high,loss\na");
  EXPECT_EQ(csv({"run", "split", "accuracy"}, ""),
            "run,split,accuracy\na,test,0.5\nb,,\nc,test,0.75\n");
  EXPECT_THAT(RunTable(read.runs, {"acuracy"}, ""),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "no run has a 'acuracy'; did you mean 'accuracy'?"));
  EXPECT_THAT(RunTable(read.runs, {"run"}, "settings.learning_rat"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("did you mean 'settings.learning_rate'?")));
}

}  // namespace
}  // namespace mase
