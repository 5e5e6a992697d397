#include "mase/config/options_types.h"

#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/dynamic_message.h"
#include "mase/base/quote.h"

namespace mase {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using google::protobuf::Message;
using google::protobuf::MessageFactory;

class Errors final : public DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string&, const std::string& element, const Message*, ErrorLocation,
                const std::string& message) override {
    if (first_.empty()) first_ = absl::StrCat(element, ": ", message);
  }
  const std::string& first() const { return first_; }

 private:
  std::string first_;
};

// Descriptions that came without code. What they use of the program's own types are these.
struct Described {
  Described() : pool(DescriptorPool::generated_pool()) {
    factory.SetDelegateToGeneratedFactory(true);
  }
  std::mutex mutex;  // Of `pool` while it is added to.
  DescriptorPool pool;
  google::protobuf::DynamicMessageFactory factory;
};
Described& TheDescribed() {
  static auto* const described = new Described;
  return *described;
}

bool IsSame(const FileDescriptor& known, const FileDescriptorProto& file) {
  FileDescriptorProto has;
  known.CopyTo(&has);
  return has.SerializeAsString() == file.SerializeAsString();
}

}  // namespace

absl::Status AddOptionsTypes(const google::protobuf::FileDescriptorSet& files) {
  Described& described = TheDescribed();
  const std::lock_guard<std::mutex> lock(described.mutex);
  for (const FileDescriptorProto& file : files.file()) {
    if (const FileDescriptor* known = described.pool.FindFileByName(file.name())) {
      if (IsSame(*known, file)) continue;
      return absl::InvalidArgumentError(absl::StrCat("its proto file ", Quoted(file.name()),
                                                     " is not the one of that name that is known"));
    }
    Errors errors;
    if (described.pool.BuildFileCollectingErrors(file, &errors) != nullptr) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("its proto file ", Quoted(file.name()), " is wrong: ", errors.first()));
  }
  return absl::OkStatus();
}

const Descriptor* FindOptionsType(const std::string& full_name) {
  Described& described = TheDescribed();
  const std::lock_guard<std::mutex> lock(described.mutex);
  return described.pool.FindMessageTypeByName(full_name);
}

const Message& OptionsPrototype(const Descriptor& type) {
  // Those of generated types, too.
  return *TheDescribed().factory.GetPrototype(&type);
}

}  // namespace mase
