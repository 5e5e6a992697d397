// print_declarations FILE...: the declarations of each file, for the build to hash (plugin.bzl).
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "mase/plugin/declarations.h"

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i]);
    if (!file) {
      std::cerr << "cannot read " << argv[i] << "\n";
      return 1;
    }
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    std::cout << mase::DeclarationsOf(text);
  }
  return 0;
}
