#include "mase/cli/completion.h"

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "mase/base/status_macros.h"
#include "mase/config/arguments.h"
#include "mase/config/own_flags.h"
#include "mase/data/open_dataset.h"
#include "mase/format/family.h"
#include "mase/model/zoo.h"
#include "mase/plugin/plugin_loader.h"
#include "proto/flags.pb.h"

namespace mase {
namespace {

// For both shells: zsh's bashcompinit runs it as bash does, but has no mapfile.
constexpr char kScript[] = R"(_ch() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} names="" reply
  COMPREPLY=()
  case $before in
    --config|--load|--load-name|--resume|--run-dir|--run_dir|--plugins|--reproduce|--predictions)
      while IFS= read -r reply; do COMPREPLY+=("$reply"); done < <(compgen -f -- "$word")
      return ;;
    --model) names="@MODELS@" ;;
    --dataset) names="@DATASETS@" ;;
    describe) names="@PASSES@ @FORMATS@" ;;
  esac
  if [[ -z $names ]]; then
    if [[ $COMP_CWORD -eq 1 ]]; then
      names="@ACTIONS@"
    elif [[ $word == -* ]]; then
      names="@FLAGS@"
    else
      case ${COMP_WORDS[1]} in
        transform|train|test|search|explain|info|profile|verify|compare-activations|sensitivity)
          names="@MODELS@ @DATASETS@" ;;
        sweep) names="transform train test @MODELS@ @DATASETS@" ;;
        export) names="onnx qdq qoperator qonnx c" ;;
        plugins) names="list describe check" ;;
        formats) names="list describe table quantize encode decode error" ;;
        passes) names="describe reference" ;;
        completion) names="bash zsh" ;;
        help) names="@ACTIONS@" ;;
      esac
    fi
  fi
  while IFS= read -r reply; do COMPREPLY+=("$reply"); done < <(compgen -W "$names" -- "$word")
}
complete -o default -F _ch ch
)";

constexpr char kBashHead[] = "# Completions of ch for bash. Written by `ch completion bash`.\n";

constexpr char kZshHead[] = R"(#compdef ch
# Completions of ch for zsh. Written by `ch completion zsh`.
autoload -U +X bashcompinit && bashcompinit
)";

// A file of $fpath is run by the first completion, which wants its answer.
constexpr char kZshTail[] = R"([[ ${funcstack[1]} != _ch ]] || _bash_complete -o default -F _ch
)";

constexpr char kUsage[] = R"(completion: print the completions of bash or zsh

  ch completion bash    in ~/.bashrc: source <(ch completion bash)
  ch completion zsh     into a folder of $fpath: ch completion zsh > ~/.zfunc/_ch
)";

// Of all actions: the settings of a run, and what each action knows besides.
std::string Flags() {
  std::set<std::string> names = {"help", "version"};
  for (const std::string& name : SettingFlagNames()) names.insert(name);
  const google::protobuf::FileDescriptor& file = *PassFlags::descriptor()->file();
  for (int i = 0; i < file.message_type_count(); ++i) {
    for (const ProcessFlag& flag : FlagsOf(*file.message_type(i))) names.insert(flag.name);
  }
  std::vector<std::string> flags;
  for (const std::string& name : names) {
    flags.push_back("--" + absl::StrReplaceAll(name, {{"_", "-"}}));
  }
  return absl::StrJoin(flags, " ");
}

}  // namespace

absl::StatusOr<Listing> ListCompletions(const std::vector<std::string>& words,
                                        absl::Span<const std::string> actions) {
  if (words == std::vector<std::string>{"--help"}) return Listing{std::nullopt, kUsage};
  const bool zsh = words == std::vector<std::string>{"zsh"};
  if (!zsh && words != std::vector<std::string>{"bash"}) {
    return absl::InvalidArgumentError(
        absl::StrCat("completion: want bash or zsh, not '", absl::StrJoin(words, " "), "'"));
  }
  std::vector<std::string> models, datasets, passes, formats;
  for (const ZooEntry& entry : ZooModels()) models.emplace_back(entry.name);
  for (const KnownDataset& set : KnownDatasets()) datasets.push_back(set.name);
  MASE_ASSIGN_OR_RETURN(const std::unique_ptr<PluginLoader> loader, PluginLoader::Create());
  for (const KnownPass& known : loader->List()) passes.push_back(known.pass->name());
  for (const Family* family : Families()) formats.emplace_back(family->name);
  const std::string script =
      absl::StrReplaceAll(kScript, {{"@ACTIONS@", absl::StrJoin(actions, " ")},
                                    {"@FLAGS@", Flags()},
                                    {"@MODELS@", absl::StrJoin(models, " ")},
                                    {"@DATASETS@", absl::StrJoin(datasets, " ")},
                                    {"@PASSES@", absl::StrJoin(passes, " ")},
                                    {"@FORMATS@", absl::StrJoin(formats, " ")}});
  return Listing{std::nullopt,
                 zsh ? absl::StrCat(kZshHead, script, kZshTail) : absl::StrCat(kBashHead, script)};
}

}  // namespace mase
