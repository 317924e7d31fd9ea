#pragma once

// Kinds of resources for tests of stores, independent of the kinds of the product, and short ways
// to write them.

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "model/resource_type.h"
#include "runtime/clock.h"
#include "store/store.h"

namespace kuma::store_test {

struct Body {
  std::string text;
  int64_t number = 0;
  bool operator==(const Body&) const = default;
};

inline std::shared_ptr<const void> DecodeBody(const model::Value& value, std::string_view path,
                                              model::Violations& violations,
                                              std::vector<std::string>& /*unknown*/) {
  auto body = std::make_shared<Body>();
  const model::Value* text = value.Find("text");
  const model::Value* number = value.Find("number");
  if (text == nullptr || text->if_string() == nullptr || number == nullptr ||
      number->if_int() == nullptr) {
    violations.Add(std::string(path), "must have text and number");
    return nullptr;
  }
  body->text = *text->if_string();
  body->number = *number->if_int();
  return body;
}

inline model::Value EncodeBody(const void* body) {
  const auto& from = *static_cast<const Body*>(body);
  return model::Object{{"text", from.text}, {"number", from.number}};
}

inline bool EqualBodies(const void* a, const void* b) {
  return *static_cast<const Body*>(a) == *static_cast<const Body*>(b);
}

inline model::BodyOps BodyOperations() {
  model::BodyOps operations;
  operations.tag = model::Resource::SpecTag<Body>();
  operations.decode = DecodeBody;
  operations.encode = EncodeBody;
  operations.equal = EqualBodies;
  operations.equal_inputs = EqualBodies;
  return operations;
}

// Global; owner of the others.
inline const model::ResourceType& RealmType() {
  static const model::ResourceType type = [] {
    model::ResourceType realm;
    realm.kind = "Realm";
    realm.scope = model::Scope::kGlobal;
    realm.spec = BodyOperations();
    return realm;
  }();
  return type;
}

// Mesh-scoped, with a status.
inline const model::ResourceType& WidgetType() {
  static const model::ResourceType type = [] {
    model::ResourceType widget;
    widget.kind = "Widget";
    widget.spec = BodyOperations();
    widget.status = BodyOperations();
    return widget;
  }();
  return type;
}

inline const model::ResourceType& WidgetInsightType() {
  static const model::ResourceType type = [] {
    model::ResourceType insight;
    insight.kind = "WidgetInsight";
    insight.is_insight = true;
    insight.spec = BodyOperations();
    return insight;
  }();
  return type;
}

// Holds secrets.
inline const model::ResourceType& VaultType() {
  static const model::ResourceType type = [] {
    model::ResourceType vault;
    vault.kind = "Vault";
    vault.admin_only = true;
    vault.spec = BodyOperations();
    return vault;
  }();
  return type;
}

inline const model::TypeTable& Types() {
  static const model::TypeTable types(
      {&RealmType(), &WidgetType(), &WidgetInsightType(), &VaultType()});
  return types;
}

// Wall time stands still unless moved; monotonic time is real.
// The test sets the wall clock; stores read it on their own threads.
class TestClock final : public runtime::Clock {
 public:
  runtime::Time Now() const override { return std::chrono::steady_clock::now(); }
  runtime::WallTime WallNow() const override { return wall_; }
  void Advance(runtime::Duration by) { wall_ = wall_.load() + by; }

 private:
  std::atomic<runtime::WallTime> wall_{runtime::WallTime(std::chrono::seconds(1'700'000'000))};
};

struct Given {
  std::string mesh = {};
  std::string name = {};
  Body spec = {};
  std::optional<Body> status = {};
  model::Labels labels = {};
  std::optional<model::ResourceKey> owner = {};
  bool owned_by_proxy = false;
};

inline model::ResourcePtr Make(const model::ResourceType& type, Given given) {
  model::Metadata meta;
  meta.mesh = std::move(given.mesh);
  meta.name = std::move(given.name);
  meta.labels = std::move(given.labels);
  meta.owner = std::move(given.owner);
  meta.owned_by_proxy = given.owned_by_proxy;
  std::shared_ptr<const void> status;
  if (given.status.has_value()) status = std::make_shared<const Body>(*given.status);
  return std::make_shared<const model::Resource>(
      type, std::move(meta), std::make_shared<const Body>(std::move(given.spec)),
      std::move(status));
}

inline model::ResourcePtr Realm(std::string name, std::string text = "") {
  return Make(RealmType(), {.name = std::move(name), .spec = {.text = std::move(text)}});
}

inline model::ResourcePtr Widget(std::string name, Body spec = {}, std::string mesh = "m") {
  return Make(WidgetType(),
              {.mesh = std::move(mesh), .name = std::move(name), .spec = std::move(spec)});
}

inline model::ResourcePtr Insight(std::string name, Body spec = {}) {
  return Make(WidgetInsightType(), {.mesh = "m", .name = std::move(name), .spec = std::move(spec)});
}

inline model::ResourceKey RealmKey(std::string name) { return {"Realm", "", std::move(name)}; }
inline model::ResourceKey WidgetKey(std::string name) { return {"Widget", "m", std::move(name)}; }
inline model::ResourceKey InsightKey(std::string name) {
  return {"WidgetInsight", "m", std::move(name)};
}

inline store::Write Put(model::ResourcePtr resource, std::optional<uint64_t> expected = {}) {
  store::Write write;
  write.resource = std::move(resource);
  if (expected.has_value()) write.expected = store::Revision{*expected};
  return write;
}

inline store::Write Delete(model::ResourceKey key, std::optional<uint64_t> expected = {}) {
  store::Write write;
  write.kind = store::Write::Kind::kDelete;
  write.key = std::move(key);
  if (expected.has_value()) write.expected = store::Revision{*expected};
  return write;
}

inline store::Transaction Writes(std::vector<store::Write> writes) {
  return {.writes = std::move(writes)};
}

// All that a reader can see of a resource, as text.
inline std::string Show(const model::Resource& resource) {
  const model::Metadata& meta = resource.meta();
  const auto ticks = [](model::WallTime time) {
    return std::to_string(time.time_since_epoch().count());
  };
  std::string text = std::string(resource.type().kind) + "|" + meta.mesh + "|" + meta.name + "|r" +
                     std::to_string(meta.revision.value) + "|" + ticks(meta.creation_time) + "|" +
                     ticks(meta.modification_time) + "|";
  for (const auto& [key, value] : meta.labels) text += key + "=" + value + ",";
  if (meta.owner.has_value()) {
    text += "|" + meta.owner->kind + "/" + meta.owner->mesh + "/" + meta.owner->name;
  }
  text += meta.owned_by_proxy ? "|proxy" : "|user";
  const auto show_body = [&](const void* body) {
    const auto& from = *static_cast<const Body*>(body);
    text += "|" + std::to_string(from.number) + ":" + from.text;
  };
  show_body(resource.spec().get());
  if (resource.status() != nullptr) show_body(resource.status().get());
  return text;
}

inline std::vector<std::string> ShowAll(store::Store& store) {
  std::vector<std::string> all;
  for (const model::ResourceType* type : Types().all()) {
    store::ListQuery query;
    query.kind = type->kind;
    const auto page = store.List(query);
    if (!page.has_value()) return {"error: " + page.error().message()};
    for (const auto& item : page->items) all.push_back(Show(*item));
  }
  return all;
}

// The spec's number, or -1 when the resource does not exist.
inline int64_t NumberOf(store::Store& store, const model::ResourceKey& key) {
  const auto found = store.Get(key);
  return found.has_value() ? (*found)->Spec<Body>().number : -1;
}

}  // namespace kuma::store_test
