#include "bundle/template.h"

#include <algorithm>

#include "base/format.h"

namespace kuma::bundle {
namespace {

size_t VarintSize(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

void AppendVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

std::string_view ValueOf(size_t hole, const Values& values, std::string_view version) {
  return hole == Template::kVersion ? version : std::string_view(values[hole]);
}

}  // namespace

std::string HoleMark(size_t number) {
  return base::Format("{}{}{}", kHoleMarkBegin, number, kHoleMarkEnd);
}

void Template::Text(std::string_view bytes) {
  if (bytes.empty()) return;
  lengths_[open_].literal += bytes.size();
  if (!parts_.empty() && parts_.back().what == What::kText) {
    parts_.back().size += bytes.size();
  } else {
    parts_.push_back({What::kText, text_.size(), bytes.size()});
  }
  text_.append(bytes);
}

void Template::Hole(size_t number) {
  lengths_[open_].holes.push_back(number);
  parts_.push_back({What::kHole, number, 0});
}

void Template::Open() {
  parts_.push_back({What::kLength, lengths_.size(), 0});
  lengths_.push_back({open_, 0, {}});
  open_ = lengths_.size() - 1;
}

void Template::Close() { open_ = lengths_[open_].parent; }

std::vector<size_t> Template::Holes() const {
  std::vector<size_t> numbers;
  for (const Part& part : parts_) {
    if (part.what == What::kHole && part.at != kVersion) numbers.push_back(part.at);
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

std::vector<size_t> Template::Sizes(const Values& values, std::string_view version) const {
  std::vector<size_t> sizes(lengths_.size(), 0);
  // Inner ones come behind those that they are in.
  for (size_t i = lengths_.size(); i-- > 0;) {
    const Length& length = lengths_[i];
    sizes[i] += length.literal;
    for (const size_t hole : length.holes) sizes[i] += ValueOf(hole, values, version).size();
    if (length.parent != kNone) sizes[length.parent] += VarintSize(sizes[i]) + sizes[i];
  }
  return sizes;
}

size_t Template::SizeOf(const Values& values, std::string_view version) const {
  return Sizes(values, version)[0];
}

std::string Template::Fill(const Values& values, std::string_view version) const {
  const std::vector<size_t> sizes = Sizes(values, version);
  std::string out;
  out.reserve(sizes[0]);
  for (const Part& part : parts_) {
    switch (part.what) {
      case What::kText: out.append(text_, part.at, part.size); break;
      case What::kHole: out.append(ValueOf(part.at, values, version)); break;
      case What::kLength: AppendVarint(out, sizes[part.at]); break;
    }
  }
  return out;
}

}  // namespace kuma::bundle
