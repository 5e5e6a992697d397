// Every limit on what the tool accepts from outside, in one place. Readers
// refuse beyond them with ResourceExhausted, naming the file, the declared size
// and the limit. They bound memory and time against hostile or damaged input;
// nothing a user of small networks does comes near.
#ifndef MASE_BASE_LIMITS_H_
#define MASE_BASE_LIMITS_H_

#include <cstdint>

namespace mase::limits {

inline constexpr int64_t kMaxGraphNodes = 1 << 21;
inline constexpr int64_t kMaxGraphTextElements = int64_t{1} << 28;  // Of all tensors together.
inline constexpr int64_t kMaxTensorElements = int64_t{1} << 32;
inline constexpr int kMaxTensorRank = 8;
inline constexpr int64_t kMaxNameBytes = 1024;        // Of a node, value, tensor or column.
inline constexpr int64_t kMaxQuotedBytes = 200;       // Of a text from outside in a message.
inline constexpr int64_t kMaxMessageBytes = 1 << 14;  // That a terminal gets.
// Of a name in one: what stands between quotes, or has no blank.
inline constexpr int64_t kMaxMessageNameBytes = 512;
// Of a parallel loop. More serve nobody, and OpenMP, which keeps something of each on the stack,
// crashes.
inline constexpr int kMaxThreads = 1024;
inline constexpr int64_t kMaxPatternBytes = 1 << 16;  // Of a regular expression.
inline constexpr int64_t kMaxPatternMemoryBytes = 8 << 20;
inline constexpr int64_t kMaxConfigFileBytes = 16 << 20;
inline constexpr int kMaxConfigNesting = 64;  // Tables in tables.
inline constexpr int64_t kMaxCheckpointBytes = int64_t{16} << 30;
inline constexpr int64_t kMaxCheckpointHeaderBytes = int64_t{1} << 29;  // Graph text included.
// Of the instructions in a PyTorch file; tensors have files of their own in it.
inline constexpr int64_t kMaxPickleBytes = int64_t{64} << 20;
inline constexpr int64_t kMaxPickleValues = int64_t{1} << 22;     // That they make.
inline constexpr int kMaxPickleNesting = 64;                      // Lists in lists.
inline constexpr int64_t kMaxOnnxBytes = (int64_t{1} << 31) - 1;  // A protobuf message's.
inline constexpr int64_t kMaxOnnxNodes = 1 << 18;
inline constexpr int64_t kMaxOnnxFoldedElements = int64_t{1} << 28;  // Constants that it computes.
inline constexpr int64_t kMaxReproducerBytes = (int64_t{1} << 31) - 1;  // A protobuf message's.
inline constexpr int64_t kMaxDataFileBytes = int64_t{64} << 30;
inline constexpr int64_t kMaxUnpackedBytes = int64_t{8} << 30;  // Of a compressed data file.
// A compressed file may become this much, and beyond it this many times its size. Tables of numbers
// shrink 3 to 30 times; zeros, 1,000 times.
inline constexpr int64_t kUnpackedBytesFree = int64_t{64} << 20;
inline constexpr int64_t kMaxUnpackRatio = 200;
inline constexpr int64_t kMaxArchiveMembers = 10000;  // Of a zip archive.
inline constexpr int64_t kMaxHdf5ChunkBytes = int64_t{1} << 30;
inline constexpr int64_t kMaxHdf5FactsBytes = int64_t{64} << 20;  // What lies where in a file.
inline constexpr int kMaxHdf5DataSets = 1000;                     // That are listed.
inline constexpr int64_t kMaxHdf5TextBytes = 16 << 20;  // Of an attribute, each with its end.
// Of a child in which a library reads what it trusts too much (in_child.h), beside the memory that
// this process has.
inline constexpr int64_t kChildMemoryBytes = int64_t{512} << 20;
inline constexpr int64_t kChildCpuSeconds = 5;
inline constexpr int64_t kChildSeconds = 60;
inline constexpr int64_t kMaxDataRows = int64_t{1} << 31;
inline constexpr int64_t kMaxDataColumns = 1 << 20;
inline constexpr int64_t kMaxClasses = 1 << 20;
inline constexpr int64_t kMaxPluginBytes = int64_t{1} << 30;  // Of a shared object.
inline constexpr int64_t kMaxPassNameBytes = 64;
inline constexpr int64_t kMaxPluginMessageBytes = (int64_t{1} << 31) - 1;  // A protobuf message's.
// Of a process that runs the passes of a plugin, where the settings say nothing else.
inline constexpr int64_t kIsolatedMemoryBytes = int64_t{4} << 30;
inline constexpr int64_t kIsolatedCpuSeconds = 3600;
inline constexpr int64_t kMaxPluginOutputBytes = 1 << 16;  // Of stray output that is kept.

}  // namespace mase::limits

#endif  // MASE_BASE_LIMITS_H_
