#pragma once

// Protobuf's wire format for tests, without protobuf: reading fields one after the other, and
// appending them.

#include <cstdint>
#include <string>
#include <string_view>

namespace kuma::kit {

// Reads protobuf fields one after the other.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}
  // False at the end and at a fault; then ok() tells which.
  bool Next() {
    if (rest_.empty()) return false;
    uint64_t tag = 0;
    const std::string_view begin = rest_;
    if (!ReadVarint(tag)) return false;
    number_ = tag >> 3;
    bytes_ = {};
    value_ = 0;
    const bool read = ReadValue(tag & 7);
    whole_ = begin.substr(0, begin.size() - rest_.size());
    return read;
  }
  bool ok() const { return ok_; }
  uint64_t number() const { return number_; }
  uint64_t varint() const { return value_; }         // of a field that is one
  std::string_view bytes() const { return bytes_; }  // of a field with a length
  std::string_view whole() const { return whole_; }  // with tag and length
  std::string text() const { return std::string(bytes_); }

 private:
  bool ReadValue(uint64_t wire_type) {
    switch (wire_type) {
      case 0: return ReadVarint(value_);
      case 1: return Take(8);
      case 2: return ReadVarint(value_) && Take(value_);
      case 5: return Take(4);
      default: return ok_ = false;
    }
  }
  bool ReadVarint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return ok_ = false;
  }
  bool Take(uint64_t size) {
    if (size > rest_.size()) return ok_ = false;
    bytes_ = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_, bytes_, whole_;
  uint64_t number_ = 0;
  uint64_t value_ = 0;
  bool ok_ = true;
};

inline void AppendVarint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

inline void AppendBytes(std::string& out, uint32_t number, std::string_view bytes) {
  AppendVarint(out, number << 3 | 2);
  AppendVarint(out, bytes.size());
  out += bytes;
}

}  // namespace kuma::kit
