// Runs a fuzz target over the files of its corpus and over seeded mutations of them: replay
// CORPUS_FOLDER [MUTATIONS].

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "runtime/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

namespace {

const std::string* current = nullptr;  // what the target has right now

// The input that broke it, for a file of the corpus: printf "%b" '...' > file
void PrintInput(int) {
  std::fprintf(stderr, "input: '");
  for (const char c : *current) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte >= ' ' && byte < 0x7f && c != '\\' && c != '\'' && c != '%';
    std::fprintf(stderr, plain ? "%c" : "\\x%02x", byte);
  }
  std::fprintf(stderr, "'\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER [MUTATIONS]\n", argv[0]);
    return 2;
  }
  std::vector<std::string> inputs;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[1])) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  if (inputs.empty()) {
    std::fprintf(stderr, "%s has no files\n", argv[1]);
    return 1;
  }
  std::signal(SIGABRT, PrintInput);
  std::signal(SIGSEGV, PrintInput);
  const auto run = [](const std::string& input) {
    current = &input;
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  };
  for (const std::string& input : inputs) run(input);
  const int mutations = argc > 2 ? std::atoi(argv[2]) : 0;
  kuma::runtime::SeededRandom random(1);
  for (int i = 0; i < mutations; ++i) {
    std::string input = inputs[random.Below(inputs.size())];
    for (uint64_t changes = 1 + random.Below(8); changes > 0; --changes) {
      const size_t at = random.Below(input.size() + 1);
      switch (random.Below(3)) {
        case 0: input.insert(at, 1, static_cast<char>(random.Next())); break;
        case 1: input.erase(at, 1 + random.Below(4)); break;
        default:
          if (at < input.size()) input[at] = static_cast<char>(random.Next());
      }
    }
    run(input);
  }
  std::printf("%zu inputs, %d mutations\n", inputs.size(), mutations);
  return 0;
}
