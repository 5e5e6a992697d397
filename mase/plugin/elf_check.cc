#include "mase/plugin/elf_check.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "mase/base/quote.h"

namespace mase {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptorProto;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

#if defined(__x86_64__)
constexpr int kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr int kMachine = EM_AARCH64;
#endif

// "aarch64 (ELF machine 183)".
std::string MachineName(int machine) {
  constexpr std::pair<int, absl::string_view> kNames[] = {
      {EM_386, "i386"},        {EM_X86_64, "x86-64"}, {EM_ARM, "arm"},   {EM_AARCH64, "aarch64"},
      {EM_PPC64, "powerpc64"}, {EM_RISCV, "risc-v"},  {EM_S390, "s390"},
  };
  for (const auto& [number, name] : kNames) {
    if (number == machine) return absl::StrCat(name, " (ELF machine ", machine, ")");
  }
  return absl::StrCat("ELF machine ", machine);
}

constexpr char kDefine[] = "end one of its sources with MASE_DEFINE_PLUGIN, which writes it";
constexpr char kTruncated[] = "a truncated shared object: copy it again, whole";
constexpr absl::string_view kNoteOwner("MASE", 5);  // With its zero, as notes have it.

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::PermissionDeniedError(absl::StrCat(parts...));
}

// `count` structs at `offset`; nothing where they are not in the file.
template <typename T>
std::optional<std::vector<T>> ReadTable(absl::string_view file, uint64_t offset, uint64_t count) {
  if (offset > file.size() || count > (file.size() - offset) / sizeof(T)) return std::nullopt;
  std::vector<T> table(count);
  if (count > 0) std::memcpy(table.data(), file.data() + offset, count * sizeof(T));
  return table;
}

// OK if the file's table of dynamic symbols has this one as a function of its own. A file without
// sections (sstrip) has no table that can be found here, and is OK.
absl::Status CheckFunction(absl::string_view file, const Elf64_Ehdr& header,
                           absl::string_view function) {
  if (header.e_shnum == 0 || header.e_shentsize != sizeof(Elf64_Shdr)) return absl::OkStatus();
  const auto sections = ReadTable<Elf64_Shdr>(file, header.e_shoff, header.e_shnum);
  if (!sections.has_value()) return Refuse(kTruncated);
  for (const Elf64_Shdr& section : *sections) {
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= sections->size()) continue;
    const Elf64_Shdr& texts = (*sections)[section.sh_link];
    const auto symbols =
        ReadTable<Elf64_Sym>(file, section.sh_offset, section.sh_size / sizeof(Elf64_Sym));
    if (!symbols.has_value() || texts.sh_offset > file.size() ||
        texts.sh_size > file.size() - texts.sh_offset) {
      return Refuse(kTruncated);
    }
    const absl::string_view names = file.substr(texts.sh_offset, texts.sh_size);
    for (const Elf64_Sym& symbol : *symbols) {
      if (symbol.st_name >= names.size()) continue;
      const absl::string_view rest = names.substr(symbol.st_name);
      if (rest.substr(0, rest.find('\0')) != function) continue;
      if (symbol.st_shndx == SHN_UNDEF) continue;
      if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC) return absl::OkStatus();
      return Refuse("its ", function, " is no function: ", kDefine);
    }
    return Refuse("it has no function ", function, ", so it is no MASE plugin: ", kDefine);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckElfSharedObject(absl::string_view file, absl::string_view function) {
  if (!absl::StartsWith(file, absl::string_view(ELFMAG, SELFMAG))) {
    return Refuse("not a shared object: begins with ", Quoted(file.substr(0, 8)),
                  ", want an ELF header: build it with g++ -shared");
  }
  const auto headers = ReadTable<Elf64_Ehdr>(file, 0, 1);
  if (!headers.has_value()) return Refuse(kTruncated);
  const Elf64_Ehdr& header = headers->front();
  if (header.e_ident[EI_CLASS] != ELFCLASS64) {
    return Refuse(header.e_ident[EI_CLASS] == ELFCLASS32 ? "a 32-bit ELF file"
                                                         : "an ELF file of no known class",
                  ", and this program is a 64-bit one: build it without -m32, for ",
                  MachineName(kMachine));
  }
  if (header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return Refuse("a big-endian ELF file, and this machine is a little-endian one: build it for ",
                  MachineName(kMachine));
  }
  if (header.e_machine != kMachine) {
    return Refuse("built for another machine, ", MachineName(header.e_machine),
                  ", and this program for ", MachineName(kMachine),
                  ": build it on this machine, or by a compiler for it");
  }
  if (header.e_type != ET_DYN) {
    return Refuse("an ELF file of type ", header.e_type, ", want a shared object (", ET_DYN,
                  "): link it with -shared");
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0) {
    return Refuse(
        "a damaged shared object: its program header table makes no sense; copy it again");
  }
  const auto segments = ReadTable<Elf64_Phdr>(file, header.e_phoff, header.e_phnum);
  if (!segments.has_value()) return Refuse(kTruncated);
  for (const Elf64_Phdr& segment : *segments) {
    if (segment.p_filesz > file.size() || segment.p_offset > file.size() - segment.p_filesz) {
      return Refuse(kTruncated, "; it has a segment of ", segment.p_filesz, " bytes at ",
                    segment.p_offset, " and is ", file.size(), " long");
    }
  }
  return CheckFunction(file, header, function);
}

absl::StatusOr<std::string> PluginNoteOf(absl::string_view file) {
  const Elf64_Ehdr header = ReadTable<Elf64_Ehdr>(file, 0, 1)->front();
  const std::vector<Elf64_Phdr> segments =
      *ReadTable<Elf64_Phdr>(file, header.e_phoff, header.e_phnum);
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_NOTE) continue;
    absl::string_view notes = file.substr(segment.p_offset, segment.p_filesz);
    while (notes.size() > sizeof(Elf64_Nhdr)) {
      const Elf64_Nhdr note = ReadTable<Elf64_Nhdr>(notes, 0, 1)->front();
      notes.remove_prefix(sizeof(Elf64_Nhdr));
      const uint64_t owner = (uint64_t{note.n_namesz} + 3) / 4 * 4;
      const uint64_t text = (uint64_t{note.n_descsz} + 3) / 4 * 4;
      if (owner + text > notes.size()) break;
      if (notes.substr(0, note.n_namesz) == kNoteOwner) {
        const absl::string_view signature = notes.substr(owner, note.n_descsz);
        return std::string(signature.substr(0, signature.find('\0')));
      }
      notes.remove_prefix(owner + text);
    }
  }
  return Refuse(
      "it has no note of MASE's (section .note.mase) that says how it was built: an older SDK made "
      "it, or MASE_DEFINE_PLUGIN is missing");
}

namespace {

// The descriptor of a proto file at the start of `bytes`, which go on behind it. protoc writes
// fields in the order of their numbers, so it ends where they do not rise any more.
FileDescriptorProto DescriptorAt(absl::string_view bytes) {
  CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()),
                         static_cast<int>(std::min<size_t>(bytes.size(), 1 << 30)));
  int last = 0, end = 0;
  for (;;) {
    const uint32_t tag = input.ReadTagNoLastTag();
    const int field = static_cast<int>(tag >> 3);
    if (FileDescriptorProto::descriptor()->FindFieldByNumber(field) == nullptr) break;
    if (field < last || !WireFormatLite::SkipField(&input, tag)) break;
    last = field;
    end = input.CurrentPosition();
  }
  FileDescriptorProto descriptor;
  if (!descriptor.ParsePartialFromArray(bytes.data(), end)) descriptor.Clear();
  return descriptor;
}

absl::Status CheckIsFree(const FileDescriptorProto& found) {
  const DescriptorPool& known = *DescriptorPool::generated_pool();
  if (known.FindFileByName(found.name()) != nullptr) {
    return Refuse("it brings the proto file ", Quoted(found.name()),
                  ", which this program has already: name yours after the plugin, and link no "
                  "second copy of MASE's");
  }
  const std::string package = found.package().empty() ? "" : absl::StrCat(found.package(), ".");
  std::vector<std::string> names;
  for (const auto& message : found.message_type()) names.push_back(package + message.name());
  for (const auto& choice : found.enum_type()) names.push_back(package + choice.name());
  for (const std::string& name : names) {
    const google::protobuf::FileDescriptor* taken = known.FindFileContainingSymbol(name);
    if (taken == nullptr) continue;
    return Refuse("its proto file ", Quoted(found.name()), " has ", Quoted(name),
                  ", and so has this program, in ", taken->name(),
                  ": choose a package of your own");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckProtoFiles(absl::string_view file) {
  constexpr absl::string_view kEnding = ".proto";
  constexpr char kNameTag = (FileDescriptorProto::kNameFieldNumber << 3) | 2;
  for (size_t at = file.find(kEnding); at != absl::string_view::npos;
       at = file.find(kEnding, at + 1)) {
    // A descriptor begins with its name: tag, length, text. Lengths from 128 on have two bytes, and
    // nobody has such names.
    const size_t end = at + kEnding.size();
    for (size_t size = kEnding.size() + 1; size < 128 && size + 2 <= end; ++size) {
      const size_t start = end - size;
      if (file[start] < 0x20) break;
      if (static_cast<size_t>(static_cast<unsigned char>(file[start - 1])) != size) continue;
      if (file[start - 2] != kNameTag) continue;
      const FileDescriptorProto found = DescriptorAt(file.substr(start - 2));
      if (!found.has_name()) continue;
      if (absl::Status status = CheckIsFree(found); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace mase
