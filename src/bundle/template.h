#pragma once

// Bytes that differ from proxy to proxy in a few texts only.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kuma::bundle {

// What is put into holes, by their numbers.
using Values = std::vector<std::string>;
using ValuesPtr = std::shared_ptr<const Values>;

// Stands for the hole `number` in a text of a message that is not serialised yet; valid UTF-8.
std::string HoleMark(size_t number);
// Every mark begins with it.
inline constexpr std::string_view kHoleMarkBegin = "\xEE\x80\x80";
inline constexpr std::string_view kHoleMarkEnd = "\xEE\x80\x81";

// Serialised protobuf with holes. The lengths around a hole follow from what is in it. A value;
// immutable once it is made.
class Template {
 public:
  // The hole that takes the text of the version.
  static constexpr size_t kVersion = SIZE_MAX;

  // Making it, from front to back: literal bytes; a hole; a length of what comes until Close().
  void Text(std::string_view bytes);
  void Hole(size_t number);
  void Open();
  void Close();

  // Numbers of the holes, sorted, unique, without kVersion.
  std::vector<size_t> Holes() const;
  // REQUIRES: `values` has all numbers.
  std::string Fill(const Values& values, std::string_view version) const;
  size_t SizeOf(const Values& values, std::string_view version) const;

 private:
  enum class What : uint8_t { kText, kHole, kLength };
  struct Part {
    What what;
    size_t at;        // kText: offset in text_; kHole: its number; kLength: index in lengths_
    size_t size = 0;  // kText
  };
  struct Length {
    size_t parent;       // index in lengths_, or kNone
    size_t literal = 0;  // bytes directly in it: without holes and what is in lengths of its own
    std::vector<size_t> holes;
  };
  static constexpr size_t kNone = SIZE_MAX;

  // Of each of lengths_; the last one is the whole.
  std::vector<size_t> Sizes(const Values& values, std::string_view version) const;

  std::string text_;
  std::vector<Part> parts_;
  std::vector<Length> lengths_{{kNone, 0, {}}};  // [0]: the whole
  size_t open_ = 0;
};

}  // namespace kuma::bundle
