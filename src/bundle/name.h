#pragma once

// Names of Envoy resources in the order of their hashes. Names of one mesh begin with the same
// thirty characters, so that comparing texts is most of what a search costs; comparing numbers is
// nothing. The same in every process. People are shown names in the order of their texts.

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace kuma::bundle {

// A name that somebody else owns. To make one from text costs a hash, so it has to be asked for.
struct NameRef {
  uint64_t hash = 0;
  std::string_view text;

  explicit NameRef(std::string_view name) : hash(base::Hash64(name)), text(name) {}
  NameRef(uint64_t hash_of_name, std::string_view name) : hash(hash_of_name), text(name) {}

  friend bool operator==(const NameRef& a, const NameRef& b) {
    return a.hash == b.hash && a.text == b.text;
  }
  friend std::strong_ordering operator<=>(const NameRef& a, const NameRef& b) {
    return a.hash != b.hash ? a.hash <=> b.hash : a.text <=> b.text;
  }
};

// A name as the key of a map.
class Name {
 public:
  explicit Name(const NameRef& name) : text_(name.text), hash_(name.hash) {}
  explicit Name(std::string_view name) : Name(NameRef(name)) {}

  const std::string& text() const { return text_; }
  operator NameRef() const { return {hash_, text_}; }  // NOLINT(google-explicit-constructor)

  friend bool operator==(const Name& a, const NameRef& b) { return NameRef(a) == b; }
  friend auto operator<=>(const Name& a, const NameRef& b) { return NameRef(a) <=> b; }
  friend auto operator<=>(const Name& a, const Name& b) { return NameRef(a) <=> NameRef(b); }

 private:
  std::string text_;
  uint64_t hash_;
};

}  // namespace kuma::bundle
