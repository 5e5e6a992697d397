// Classifies rows of numbers, comma-separated on stdin, with a checkpoint that ch trained.
//
//   c++ -std=c++17 predict.cc -o predict $(pkg-config --cflags --libs mase_predict)
//   ./predict best.safetensors < rows.csv
#include <mase_predict.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: predict CHECKPOINT < ROWS\n";
    return 2;
  }
  char message[512];
  mase_predictor* loaded;
  if (mase_predictor_load(argv[1], MASE_INTEGER, &loaded, message, sizeof message) != MASE_OK) {
    std::cerr << message << '\n';
    return 1;
  }
  const std::unique_ptr<mase_predictor, decltype(&mase_predictor_free)> predictor(
      loaded, mase_predictor_free);
  // All rows at once: many are faster together than one by one.
  const int64_t inputs = mase_predictor_inputs(loaded);
  std::vector<float> rows;
  int64_t count = 0;
  for (std::string line; std::getline(std::cin, line);) {
    if (line.empty()) continue;
    std::istringstream numbers(line);
    char comma = ',';  // Behind a number; 0 at the end of the line.
    for (float number; comma == ',' && numbers >> number;) {
      rows.push_back(number);
      comma = 0;
      numbers >> comma;
    }
    ++count;
    if (static_cast<int64_t>(rows.size()) != count * inputs || comma != 0) {
      std::cerr << "row " << count << ": not the " << inputs << " numbers that the net reads\n";
      return 1;
    }
  }
  if (std::ferror(stdin) != 0) {  // A stream takes an error for the end.
    std::cerr << "stdin: not all rows could be read\n";
    return 1;
  }
  const int64_t outputs = mase_predictor_outputs(loaded);
  std::vector<float> results(count * outputs);
  if (mase_predict(loaded, rows.data(), count, results.data(), message, sizeof message) !=
      MASE_OK) {
    std::cerr << message << '\n';
    return 1;
  }
  for (auto row = results.begin(); row != results.end(); row += outputs) {
    const int64_t best = std::max_element(row, row + outputs) - row;
    const char* name = mase_predictor_class_name(loaded, best);
    std::cout << (name != nullptr ? name : std::to_string(best)) << '\n';
  }
  if (std::cout.flush()) return 0;
  std::cerr << "stdout: not all classes could be written\n";
  return 1;
}
