// main() for a fuzz target without libFuzzer: gives it the files named as arguments, and N copies
// of them with bytes changed, cut out, doubled or taken from another, the same ones at each run.
//
//   NAME_test --copies=N FILE...
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "mase/base/mix64.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr char kCopies[] = "--copies=";
constexpr size_t kLargestChanged = 1 << 16;  // Larger files are given as they are.

// Bytes that parsers look at twice.
constexpr char kBytes[] = {0,   1,   '\x7f', '\x80', '\xff', '"', '\'', '(',  ')', '[', ']',
                           '{', '}', ',',    ':',    '=',    '.', '-',  '\n', ' ', '0', '9'};

void Give(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

class Changer {
 public:
  std::string Changed(std::string bytes, const std::string& other) {
    for (uint64_t changes = 1 + Draw(4); changes > 0 && !bytes.empty(); --changes) {
      const size_t at = Draw(bytes.size()), count = Draw(16);
      switch (Draw(5)) {
        case 0:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << Draw(8)));
          break;
        case 1:
          bytes[at] = kBytes[Draw(sizeof(kBytes))];
          break;
        case 2:
          bytes.erase(at, count);
          break;
        case 3:
          bytes.insert(at, bytes.substr(Draw(bytes.size()), count));
          break;
        default:
          if (!other.empty()) bytes.insert(at, other.substr(Draw(other.size()), count));
      }
    }
    return bytes;
  }

  uint64_t Draw(uint64_t below) { return mase::Mix64(++state_) % below; }

 private:
  uint64_t state_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> corpus = {""};
  int copies = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]).rfind(kCopies, 0) == 0) {
      copies = std::stoi(argv[i] + sizeof(kCopies) - 1);
      continue;
    }
    std::ifstream file(argv[i], std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  for (const std::string& input : corpus) Give(input);
  Changer changer;
  int given = 0;
  for (int i = 0; i < copies; ++i) {
    const std::string& input = corpus[changer.Draw(corpus.size())];
    if (input.size() > kLargestChanged) continue;
    Give(changer.Changed(input, corpus[changer.Draw(corpus.size())]));
    ++given;
  }
  std::printf("%zu files and %d changed copies\n", corpus.size() - 1, given);
}
