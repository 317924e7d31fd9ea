#pragma once

// Small checks that several kinds share, in Kuma's words.

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "model/violations.h"

namespace kuma::resources {

// "port must be in the range [1, 65535]" (kinds defined by protobuf)
void CheckPort(uint32_t port, std::string_view path, model::Violations& out);
// The address of a machine: IP address or host name, not unspecified.
void CheckAddress(std::string_view address, std::string_view path, model::Violations& out);
// "invalid value. Available values are: A,B,C"
void CheckKind(std::string_view kind, std::initializer_list<std::string_view> kinds,
               std::string_view path, model::Violations& out);
// Tags of the old model: characters of names and values.
void CheckTags(const std::map<std::string, std::string>& tags, std::string_view path,
               model::Violations& out);

}  // namespace kuma::resources
