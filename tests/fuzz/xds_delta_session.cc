// A client and a writer that do anything: each byte of the input is an action on one delta session.
// What must hold whatever they do: one response in flight per type, no name twice in a response,
// nothing of a type that was not asked for, no name beyond the subscription, bounded memory, and an
// end: a client that only acknowledges comes to rest.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "bundle/bundle.h"
#include "xds/delta_session.h"

namespace kuma::xds {
namespace {

using bundle::kAllXdsTypes;

class Script {
 public:
  Script(const uint8_t* bytes, size_t size) : rest_(reinterpret_cast<const char*>(bytes), size) {}
  bool done() const { return rest_.empty(); }
  size_t Below(size_t bound) {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return byte % bound;
  }

 private:
  std::string_view rest_;
};

class Run {
 public:
  Run(const uint8_t* bytes, size_t size) : script_(bytes, size) {}

  void Go() {
    for (size_t steps = 0; !script_.done() && steps < 2000; ++steps) Act();
    Rest();
  }

 private:
  struct Open {
    std::string nonce;
    std::vector<std::string> names;
  };

  void Act() {
    switch (script_.Below(8)) {
      case 0: Publish(); break;
      case 1:
      case 2:
      case 3: Request(true, script_.Below(4) == 0); break;
      case 4: Request(false, script_.Below(2) == 0); break;
      case 5:
        now_ += std::chrono::seconds(script_.Below(80));
        Take(session_.OnTimer(now_));
        break;
      case 6: Reconnect(); break;
      default: session_.Recall(session_.Remember()); break;
    }
  }

  std::string Name() {
    static constexpr std::array<const char*, 6> kNames = {"a", "b", "ab", "*", "", "zz"};
    return kNames[script_.Below(kNames.size())];
  }
  XdsType Type() { return kAllXdsTypes[script_.Below(kAllXdsTypes.size())]; }

  void Publish() {
    auto made = std::make_shared<bundle::XdsBundle>();
    made->revision = {++revision_};
    for (const XdsType type : kAllXdsTypes) {
      std::vector<SealedPtr> list;
      const size_t which = script_.Below(16);
      const size_t content = script_.Below(4);
      for (size_t i = 0; i < 4; ++i) {
        if ((which >> i & 1) == 0) continue;
        static constexpr std::array<const char*, 4> kNames = {"a", "ab", "b", "c"};
        const std::string message = std::to_string(content + i);
        list.push_back(bundle::Seal({.type = type,
                                     .name = kNames[i],
                                     .message = message,
                                     .clusters = {kNames[content], kNames[(content + i) % 4]}}));
      }
      made->resources[static_cast<size_t>(type)] = bundle::MakeList(std::move(list));
    }
    Take(session_.OnBundle(now_, made));
  }

  void Request(bool answers, bool refuses) {
    const XdsType type = Type();
    DeltaRequest request;
    request.type_url = TypeUrl(type);
    if (script_.Below(32) == 0) request.type_url = "x";
    for (size_t n = script_.Below(3); n > 0; --n) request.subscribe.push_back(Name());
    for (size_t n = script_.Below(3); n > 0; --n) request.unsubscribe.push_back(Name());
    for (size_t n = script_.Below(3); n > 0; --n)
      request.initial_resource_versions[Name()] = Name();
    const auto open = open_.find(type);
    if (answers && open != open_.end() && request.type_url != "x") {
      request.response_nonce = open->second.nonce;
      if (refuses) {
        request.error_detail =
            "Error adding/updating cluster(s) " + Name() + ": no, " + Name() + ": no";
        if (script_.Below(2) == 0) request.error_detail = "no";
      }
      open_.erase(open);
    } else if (!answers) {
      request.response_nonce = std::to_string(script_.Below(20) + 100'000);  // of no response
      if (refuses) request.error_detail = "no";
    }
    if (request.type_url != "x") asked_.insert(type);
    Take(session_.OnRequest(now_, request));
  }

  void Reconnect() {
    const SessionMemory memory = session_.Remember();
    session_ = DeltaSession(Options());
    session_.Recall(memory);
    open_.clear();
    asked_.clear();
  }

  void Take(const SessionOutput& output) {
    CHECK(!output.failure, "few names");
    CHECK(!output.wake_at || *output.wake_at > now_, "it sleeps");
    for (const DeltaResponse& response : output.send) {
      if (!response.other_type_url.empty()) continue;
      CHECK(asked_.contains(response.type), "nothing before the first request");
      CHECK(!open_.contains(response.type), "one response in flight");
      std::set<std::string> names(response.removed.begin(), response.removed.end());
      for (const SealedPtr& resource : response.resources) {
        CHECK(resource->type == response.type, "one type");
        names.insert(resource->name);
      }
      CHECK(names.size() == response.removed.size() + response.resources.size(), "no name twice");
      open_[response.type] = {response.nonce, {}};
    }
    CHECK(session_.deviations() < 200, "bounded memory");
    (void)session_.Describe();
    (void)session_.Quarantined();
  }

  // Acknowledges everything for an hour.
  void Rest() {
    for (int i = 0; i < 200; ++i) {
      while (!open_.empty()) {
        CHECK(++answers_ < 2000, "it comes to rest");
        const auto [type, open] = *open_.begin();
        open_.erase(open_.begin());
        DeltaRequest request;
        request.type_url = TypeUrl(type);
        request.response_nonce = open.nonce;
        Take(session_.OnRequest(now_, request));
      }
      now_ += std::chrono::seconds(20);
      Take(session_.OnTimer(now_));
    }
  }

  static SessionOptions Options() {
    SessionOptions options;
    options.response_bytes = 300;
    return options;
  }

  Script script_;
  DeltaSession session_{Options()};
  Time now_{std::chrono::hours(1)};
  uint64_t revision_ = 0;
  int answers_ = 0;
  std::map<XdsType, Open> open_;
  std::set<XdsType> asked_;
};

}  // namespace
}  // namespace kuma::xds

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  kuma::xds::Run(bytes, size).Go();
  return 0;
}
