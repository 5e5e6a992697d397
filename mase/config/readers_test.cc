// The three file formats: what they refuse, and where they say it is.
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/config/json.h"
#include "mase/config/testing_config.h"
#include "mase/config/text_check.h"
#include "mase/config/toml.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Repeated(absl::string_view piece, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) absl::StrAppend(&text, piece);
  return text;
}

absl::StatusCode CodeOf(absl::string_view text, absl::string_view name) {
  return LoadText(text, name).status().code();
}

std::string Shown(const absl::StatusOr<ConfigValue>& value) {
  return value.ok() ? ShowValue(*value, 1000) : std::string(value.status().message());
}

TEST(TomlTest, KeepsTheOrderOfTheTextAndReadsNaAsNull) {
  EXPECT_EQ(Shown(ParseToml("z = 1\na = 'NA'\n[m]\nx = [1, 'NA', 2.5]\n[b.c]\ny = true\n", "f")),
            "{z = 1, a = None, m = {x = [1, None, 2.5]}, b = {c = {y = true}}}");
}

TEST(TomlTest, ATableIsWhereItIsFirstNamed) {
  EXPECT_EQ(Shown(ParseToml("[p.b.x]\nk = 1\n[p.a]\n[p.b]\nj = 2\n", "f")),
            "{p = {b = {x = {k = 1}, j = 2}, a = {}}}");
}

TEST(TomlTest, AcceptsQuotedKeysAndWindowsLineEnds) {
  EXPECT_EQ(Shown(ParseToml("\"data_in_width\" = 8\r\n'a.b' = 1\r\n", "f")),
            "{data_in_width = 8, a.b = 1}");
}

TEST(TomlTest, DatesBecomeText) {
  EXPECT_EQ(Shown(ParseToml("a = 2024-02-16\nb = 07:32:00\n", "f")),
            "{a = \"2024-02-16\", b = \"07:32:00\"}");
}

TEST(TomlTest, ErrorsHaveLineAndColumn) {
  EXPECT_THAT(ErrorOf("seed = 1\nmodel = \n"), StartsWith("f.toml:2:"));
  EXPECT_THAT(ErrorOf("seed = 1\nseed = 2\n"), StartsWith("f.toml:2:"));
  EXPECT_THAT(ErrorOf("[dataset]\n[dataset]\n"), StartsWith("f.toml:2:"));
  EXPECT_THAT(ErrorOf("project = \"half\n"), StartsWith("f.toml:1:"));
}

TEST(TomlTest, CharactersBeyondAsciiStandInStringsAndCommentsOnly) {
  EXPECT_EQ(Shown(ParseToml("a = '\u00e9\u3001' # \u00e9\n", "f")), "{a = \"\u00e9\u3001\"}");
  for (const char* character : {"\u00e9", "\u3001", "\uffef", "\u1700", "\u2100", "\U0001f600"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("a = 1\n", character, " = 2\n")), StartsWith("f.toml:2:1: "));
    EXPECT_THAT(ErrorOf(absl::StrCat("a = ", character)), StartsWith("f.toml:1:5: "));
  }
}

TEST(TomlTest, ExpressionsAsKeysWantQuotes) {
  const std::string remedy =
      "in a key without quotes: write a name or regular expression that has it in quotes, as "
      "passes.quantize.\"seq_blocks_[0-3]\".config; ";
  for (const auto& [line, column, character] : std::vector<std::tuple<std::string, int, char>>{
           {"passes.quantize.seq_blocks_[0-3].config = ['integer 8/4']", 28, '['},
           {"seq_blocks_.* = 1", 13, '*'},
           {"  a(b|c).x = 1", 4, '('},
           {"[passes.quantize.seq_blocks_[02]]", 29, '['},
           {"[passes.quantize.(a|b).config]", 18, '('},
           {"[[x.a+]]", 6, '+'}}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("seed = 1\n", line, "\n")),
                StartsWith(absl::StrCat("f.toml:2:", column, ": '", std::string(1, character), "' ",
                                        remedy)))
        << line;
  }
  // What is no key, or one in quotes, is the parser's to refuse.
  for (const char* line : {"a = [1, 2", "\"a[0]\" = ", "a = b[0]", "[a]]", "x"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat(line, "\n")), Not(HasSubstr("in a key without quotes")));
  }
  EXPECT_THAT(std::string(ParseAssignment("passes.quantize.a[0].config=1").status().message()),
              HasSubstr("'[' in a key without quotes"));
}

TEST(TomlTest, TakesAssignmentsApart) {
  const auto keys = [](absl::string_view text) {
    const absl::StatusOr<Assignment> parsed = ParseAssignment(text);
    std::string shown = parsed.ok() ? "" : std::string(parsed.status().message());
    if (!parsed.ok()) return shown;
    for (const std::string& key : parsed->keys) absl::StrAppend(&shown, key, "|");
    return absl::StrCat(shown, "=", parsed->text);
  };
  EXPECT_EQ(keys("a=1"), "a|=1");
  EXPECT_EQ(keys("a.b.c=x=y"), "a|b|c|=x=y");
  EXPECT_EQ(keys("a.'b.c='.d=[1, 2]"), "a|b.c=|d|=[1, 2]");
  EXPECT_EQ(keys("a="), "a|=");
  EXPECT_EQ(keys("a"), "want KEY=VALUE");
  EXPECT_THAT(keys("=1"), HasSubstr("key:1:"));
  EXPECT_THAT(keys("a..b=1"), HasSubstr("key:1:"));
  EXPECT_EQ(keys("a\nb=1"), "want KEY=VALUE");
}

TEST(JsonTest, KeepsOrderAndPositionsOfKeys) {
  const absl::StatusOr<ConfigValue> value =
      ParseJson("{\"z\": 1,\n  \"a\\\"\": [null, \"NA\", -2, 1e2],\n \"m\": {\"x\": true}}", "f");
  EXPECT_EQ(Shown(value), "{z = 1, a\\\" = [None, None, -2, 100], m = {x = true}}");
  const ValueTable& table = *value->table();
  EXPECT_EQ(Where("f", table[0].position), "f:1:2");
  EXPECT_EQ(Where("f", table[1].position), "f:2:3");
  EXPECT_EQ(Where("f", table[2].position), "f:3:2");
}

TEST(JsonTest, IsStrict) {
  EXPECT_THAT(ErrorOf("{\n \"seed\": 1,\n}", "f.json"),
              StartsWith("f.json:3:1: the text is no JSON from here on: '"));
  EXPECT_THAT(ErrorOf("{\"seed\": 1} x", "f.json"),
              StartsWith("f.json:1:13: the text is no JSON from here on: '"));
  EXPECT_THAT(ErrorOf("// c\n{}", "f.json"),
              StartsWith("f.json:1:1: the text is no JSON from here on: '"));
  EXPECT_THAT(ErrorOf("", "f.json"), StartsWith("f.json:1:1: the text is no JSON from here on: '"));
  EXPECT_THAT(ErrorOf("{\"a\": 1e999}", "f.json"), StartsWith("f.json:1:"));
  EXPECT_EQ(ErrorOf("{\"seed\": 1,\n \"seed\": 2}", "f.json"),
            "f.json:2:2: key 'seed' is given twice");
  EXPECT_EQ(ErrorOf("[1]", "f.json"), "f.json:1:1: want an object at the top level, got [1]");
}

TEST(TextProtoTest, ErrorsHaveLineColumnAndSuggestion) {
  EXPECT_EQ(ErrorOf("seed: 1\nmax_epoch: 3\n", "f.textproto"),
            "f.textproto:2:10: unknown key 'max_epoch' in mase.RunConfig; "
            "did you mean 'max_epochs'?");
  EXPECT_THAT(ErrorOf("seed: 1\nseed: 2\n", "f.textproto"), StartsWith("f.textproto:2:"));
  EXPECT_THAT(ErrorOf("seed: \"x\"\n", "f.textproto"), StartsWith("f.textproto:1:7: "));
  EXPECT_THAT(ErrorOf("model {\n name: 'x'\n", "f.textproto"), StartsWith("f.textproto:3:"));
  EXPECT_EQ(ErrorOf("evaluation { require_int8: true }", "f.textproto"),
            "f.textproto:1:28: want a string, got true; write \"true\"");
}

TEST(TextProtoTest, ChecksOfTheEngineNameTheirPlaceToo) {
  EXPECT_EQ(ErrorOf("seed: 1\nbatch_size: 0\n", "f.textproto"),
            "f.textproto:2:1: batch_size: 0 is out of range, want at least 1 and at most 16777216");
  EXPECT_THAT(ErrorOf("passes {\n  name: 'first'\n  options {\n"
                      "    [type.googleapis.com/mase.plugins.shape_up.ShapeUpOptions] {\n"
                      "      by: 'typ'\n    }\n  }\n}\n",
                      "f.textproto"),
              StartsWith("f.textproto:5:7: passes.first.by: 'typ' is none of"));
}

TEST(TextProtoTest, RefusesOptionsOfAnotherType) {
  const auto error = [](absl::string_view pass, absl::string_view type) {
    return ErrorOf(absl::StrCat("passes {\n name: '", pass, "'\n options {\n",
                                "  [type.googleapis.com/", type, "] {}\n }\n}\n"),
                   "f.textproto");
  };
  EXPECT_EQ(error("first", "mase.plugins.shape_up.ShapeUpOptions"), "OK");
  EXPECT_EQ(error("empty", "google.protobuf.Empty"), "OK");
  EXPECT_EQ(error("first", "google.protobuf.Empty"),
            "f.textproto:3:2: passes.first: its options are a "
            "mase.plugins.shape_up.ShapeUpOptions, not a google.protobuf.Empty");
  EXPECT_THAT(error("first", "mase.plugins.shape_app.Options"),
              AllOf(StartsWith("f.textproto:4:"),
                    HasSubstr("unknown pass 'shape_app'; did you mean 'shape_up'?")));
  EXPECT_THAT(error("first", "mase.plugins.shape_up.Other"), StartsWith("f.textproto:4:"));
}

TEST(HostileTextTest, NulBytesAndBrokenUtf8AreRefusedWithTheirPlace) {
  for (const char* name : {"f.toml", "f.json", "f.textproto"}) {
    EXPECT_EQ(ErrorOf(absl::string_view("#\n a\0", 5), name),
              absl::StrCat(name, ":2:3: NUL byte in text"));
    for (const char* bad : {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                            "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xff"}) {
      EXPECT_EQ(ErrorOf(absl::StrCat("#\xc3\xa9", bad), name),
                absl::StrCat(name, ":1:3: not UTF-8 text"));
    }
  }
}

TEST(HostileTextTest, EscapesDoNotSmuggleThemIn) {
  EXPECT_THAT(ErrorOf("a = 1\nproject = \"x\\u0000\""), HasSubstr("f.toml:2:11: NUL byte in text"));
  EXPECT_THAT(ErrorOf("{\"cf_args\": {\"a\\u0000\": 1}}", "f.json"), HasSubstr("NUL byte"));
  EXPECT_THAT(ErrorOf("project: '\\xff'", "f.textproto"), HasSubstr("not UTF-8"));
  EXPECT_THAT(ErrorOf("cf_args { fields { key: '\\xff' value {} } }", "f.textproto"),
              HasSubstr("not UTF-8"));
}

TEST(HostileTextTest, NestingIsAllowedUpToTheLimitAndNoDeeper) {
  const int limit = limits::kMaxConfigNesting;
  const auto in_args = [](int depth) {  // [cf_args] is one level itself.
    return absl::StrCat("cf_args = ", Repeated("{a = ", depth - 1), "1", Repeated("}", depth - 1));
  };
  EXPECT_EQ(ErrorOf(in_args(limit)), "OK");
  EXPECT_EQ(CodeOf(in_args(limit + 2), "f.toml"), absl::StatusCode::kResourceExhausted);

  const auto json = [](int depth) {
    return absl::StrCat("{\"cf_args\": ", Repeated("{\"a\": ", depth - 1), "1",
                        Repeated("}", depth - 1), "}");
  };
  EXPECT_EQ(ErrorOf(json(limit), "f.json"), "OK");
  EXPECT_EQ(CodeOf(json(limit + 1), "f.json"), absl::StatusCode::kResourceExhausted);

  const auto proto = [](int depth) {  // A level of a Struct is three messages deep.
    return absl::StrCat("cf_args {", Repeated("fields { key: 'a' value { struct_value {", depth),
                        Repeated("}}}", depth), "}");
  };
  EXPECT_EQ(ErrorOf(proto(limit / 3 - 1), "f.textproto"), "OK");
  EXPECT_EQ(CodeOf(proto(limit), "f.textproto"), absl::StatusCode::kResourceExhausted);
}

TEST(HostileTextTest, EnormousNestingDoesNotOverflowTheStack) {
  const int many = 1'000'000;
  for (const char* piece : {"[", "{a=", "a.", "[[", "a = [", "'\n[", "\"\"\"\n[[{"}) {
    EXPECT_NE(ErrorOf(Repeated(piece, many)), "OK") << piece;
  }
  EXPECT_EQ(CodeOf(Repeated("a.", many) + "a = 1", "f.toml"), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(CodeOf("[" + Repeated("a.", many) + "a]", "f.toml"),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(CodeOf("a = " + Repeated("[", many) + Repeated("]", many), "f.toml"),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(CodeOf(Repeated("{\"a\":[", many), "f.json"), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(CodeOf("cf_args {" + Repeated("fields { value { struct_value {", many), "f.textproto"),
            absl::StatusCode::kResourceExhausted);
  EXPECT_NE(ErrorOf(Repeated("unknown {", many), "f.textproto"), "OK");
}

TEST(HostileTextTest, BracketsInStringsAndCommentsDoNotCount) {
  const std::string brackets = Repeated("[{.", 200);
  EXPECT_EQ(
      ErrorOf(absl::StrCat("# ", brackets, "\nproject = '", brackets, "'\nmodel = \"", brackets,
                           "\\\"", brackets, "\"\n[cf_args]\na = '''\n'", brackets, "'''\n")),
      "OK");
}

TEST(HostileTextTest, ManyKeysCostLinearTime) {
  std::string toml, json = "{";
  for (int i = 0; i < 50'000; ++i) {
    absl::StrAppend(&toml, "[passes.shape_up.k", i, ".config]\nname = 'x'\n");
    absl::StrAppend(&json, i == 0 ? "" : ",", "\"search_", i, "\": 1");
  }
  EXPECT_EQ(ErrorOf(toml), "OK");
  EXPECT_THAT(ErrorOf(json + "}", "f.json"), HasSubstr("unknown key 'search_0'"));
}

}  // namespace
}  // namespace mase
