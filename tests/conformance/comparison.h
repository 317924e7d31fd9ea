#pragma once

// Reading vectors and telling the first difference in words. An empty text means equal.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/value.h"

namespace kuma::conformance {

// KUMA_CONFORMANCE_DIR, else ../shared/conformance beside the source folder (KUMA_SOURCE_DIR, else
// the working folder).
std::filesystem::path SourceFolder();
std::filesystem::path VectorFolder();

// Empty when there is no such file.
std::string ReadText(const std::filesystem::path& path);
// The errors name the file.
base::Result<model::Value> ReadJson(const std::filesystem::path& path);
base::Result<std::vector<model::Value>> ReadYaml(const std::filesystem::path& path);  // documents
// Files whose names end so, in order; "" fits all. Empty when the folder is absent.
std::vector<std::filesystem::path> FilesIn(const std::filesystem::path& folder,
                                           std::string_view ending, bool below = false);
// The member as text; empty when it is absent or no text.
std::string TextOf(const model::Value* value);
std::string TextOf(const model::Value& object, std::string_view key);

// "line 3\n  want: ...\n  got:  ...", then the lines that follow.
std::string TextDifference(std::string_view got, std::string_view want);
// "spec.to[0].default: want {...}, got nothing"; 1 and 1.0 are equal, the order of keys is free.
std::string ValueDifference(const model::Value& got, const model::Value& want);
// All documents of both, as values.
std::string YamlDifference(std::string_view got, std::string_view want);
std::string JsonDifference(std::string_view got, std::string_view want);

}  // namespace kuma::conformance
