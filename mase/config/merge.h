// The one engine that turns settings into messages, by reflection.
//
// A table of values is merged into RunConfig, level by level; what comes later
// wins. A key of a table finds its place in a message by the first rule that fits:
//
//   1. a field of that name;
//   2. at the top level, an alias of a field anywhere ("load_name");
//   3. a flat key: "data_in_width" is field `width` of message field `data_in`;
//   4. the message's catch_all field (options.proto);
//   5. a key of MASE's that has no meaning here: accepted, with a note.
//
// A message is set by a table, or by a scalar if it has a scalar_key (by a list, if that is one of
// values of any type). A list of
// messages is set by a list, or by a table if it is keyed_by a field; a list of
// scalars by a list or one scalar. A list replaces, but flags of
// one list add up (--goal A --goal B); a table adds.
#ifndef MASE_CONFIG_MERGE_H_
#define MASE_CONFIG_MERGE_H_

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "mase/base/error_list.h"
#include "mase/config/source.h"
#include "mase/config/value.h"
#include "proto/config.pb.h"

namespace mase {

// The options message of a pass, by the pass's name; an error, with suggestion,
// where there is no such pass. The descriptor must stay valid. Asked more than
// once per pass.
using PassOptionsResolver =
    std::function<absl::StatusOr<const google::protobuf::Descriptor*>(absl::string_view pass)>;

// What each level gave for one setting.
struct Given {
  std::string text;   // The value: 128, "adam" without quotes, None for unset.
  std::string where;  // "jsc.toml:3:1", "--batch-size"
};
using GivenByLevel = std::array<absl::optional<Given>, kLevelCount>;

// By path: "batch_size", "dataset.name", "passes.quantize.linear.config.name".
using SettingsRecord = absl::btree_map<std::string, GivenByLevel>;

class Merger {
 public:
  // Starts with the defaults of RunConfig.
  explicit Merger(PassOptionsResolver resolve_pass);

  // Leaves the passes of all sources aside: unread, unchecked.
  void SkipPasses() { skip_passes_ = true; }
  // The same of what is searched for.
  void SkipSearch() { skip_search_ = true; }

  // Merges a table. Sources come in the order of their levels. InvalidArgument
  // for keys or values that do not fit, with place and path: all of them, as an
  // ErrorList. What fits is merged.
  absl::Status Merge(const ConfigValue& table, const Source& source);

  // The settings, every pass with its options packed.
  RunConfig Finish();

  const SettingsRecord& record() const { return record_; }
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  using Message = google::protobuf::Message;
  using Field = google::protobuf::FieldDescriptor;

  struct Empty {};
  explicit Merger(Empty) {}

  // What every merger starts with; worked out once, as the defaults stand as text in .proto files.
  static const Merger& Defaults();

  absl::Status MergeTable(const ValueTable& table, const Field* hidden, const std::string& path,
                          Message& message);
  absl::Status CheckChoices(const ValueTable& table, const std::string& path,
                            const google::protobuf::Descriptor& descriptor) const;
  absl::Status MergeKey(absl::string_view key, const Member& member, const Field* hidden,
                        const std::string& path, Message& message);
  absl::Status MergeAlias(const std::vector<const Field*>& alias, const ConfigValue& value);
  absl::Status MergeField(const Field& field, const ConfigValue& value, const std::string& path,
                          Message& message);
  absl::Status MergeMessage(const Field& field, const ConfigValue& value, const std::string& path,
                            Message& message);
  absl::Status MergeRepeated(const Field& field, const ConfigValue& value, const std::string& path,
                             Message& message);
  absl::Status MergeKeyedTable(const Field& field, const ValueTable& table, const std::string& path,
                               Message& message);
  absl::Status MergeKeyedMember(const Field& field, const Member& member, const std::string& path,
                                Message& message);
  absl::Status MergeList(const Field& field, const ValueList& list, const std::string& path,
                         Message& message);
  absl::Status MergeElement(const Field& field, const ConfigValue& item, const std::string& path,
                            Message& message);
  absl::Status MergeOptions(const ConfigValue& given, const std::string& path, Message& pass);
  absl::Status Unset(const Field& field, const ConfigValue& value, const std::string& path,
                     Message& message);

  // The element or map entry of this key; added if there is none.
  absl::StatusOr<Message*> FindOrAdd(const Field& field, const std::string& key,
                                     const ConfigValue& value, const std::string& path,
                                     Message& message);
  // The options of a pass, unpacked; created with their defaults at first.
  absl::StatusOr<Message*> OpenOptions(const ConfigValue& value, const std::string& path,
                                       Message& pass);
  absl::Status FillDefaults(const std::string& path, Message& message);
  void Forget(const Field& field, Message& message);

  absl::Status Error(Position position, absl::string_view path, absl::string_view what) const;
  absl::Status UnknownKey(const Member& member, const Field* hidden, const std::string& path,
                          const Message& message) const;
  void Record(const std::string& path, const ConfigValue& value);
  void Note(const Member& member, absl::string_view reason);

  const PassOptionsResolver resolve_pass_;
  bool skip_passes_ = false;
  bool skip_search_ = false;
  RunConfig config_;
  const Source* source_ = nullptr;  // Of the merge at hand, as are the errors.
  ErrorList errors_;
  SettingsRecord record_;
  std::vector<std::string> notes_;

  // Elements by key, so that many keys cost linear time. An index is built from
  // the elements when first asked for; all are dropped when any element is.
  // A key of several elements stands for none (null).
  using ElementIndex = absl::flat_hash_map<std::string, Message*>;
  absl::flat_hash_map<std::pair<const Message*, const Field*>, ElementIndex> indexes_;

  // Options in their own type while they are merged. Packed by Finish.
  absl::flat_hash_map<const Message*, std::unique_ptr<Message>> options_;
};

}  // namespace mase

#endif  // MASE_CONFIG_MERGE_H_
