#include "rest/secrets.h"

#include <condition_variable>

#include "resources/global_secret/global_secret.h"
#include "resources/secret/secret.h"

namespace kuma::rest {
namespace {

using model::ResourcePtr;

std::string DataOf(const model::Resource& resource) {
  return resource.type().kind == "Secret"
             ? resources::secret::RevealData(resource.Spec<resources::secret::Spec>())
             : resources::global_secret::RevealData(
                   resource.Spec<resources::global_secret::Spec>());
}

base::Result<store::Page> ListSecrets(store::Store& store, std::string_view mesh,
                                      std::string_view prefix) {
  store::ListQuery query;
  query.kind = mesh.empty() ? "GlobalSecret" : "Secret";
  if (!mesh.empty()) query.mesh = std::string(mesh);
  query.name_contains = prefix;
  return store.List(query);
}

identity::TokenKeys KeysOf(const store::Page& page, std::string_view prefix) {
  std::vector<identity::NamedSecret> secrets;
  for (const ResourcePtr& item : page.items) {
    secrets.push_back({item->name(), identity::SecretText(DataOf(*item))});
  }
  return identity::TokenKeys::FromSecrets(secrets, prefix);
}

}  // namespace

base::Result<identity::TokenKeys> ReadKeys(store::Store& store, std::string_view mesh,
                                           std::string_view prefix) {
  TRY_ASSIGN(const store::Page page, ListSecrets(store, mesh, prefix));
  return KeysOf(page, prefix);
}

base::Result<std::shared_ptr<const identity::TokenKeys>> KeyMemo::Read(store::Store& store,
                                                                       std::string_view mesh,
                                                                       std::string_view prefix) {
  TRY_ASSIGN(const store::Page page, ListSecrets(store, mesh, prefix));
  Entry entry;
  for (const ResourcePtr& item : page.items)
    entry.secrets.emplace_back(item->name(), item->meta().revision);
  const std::pair key{std::string(mesh), std::string(prefix)};
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found != entries_.end() && found->second.secrets == entry.secrets)
      return found->second.keys;
  }
  entry.keys = std::make_shared<const identity::TokenKeys>(KeysOf(page, prefix));
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kMaxEntries) entries_.clear();
  return entries_.insert_or_assign(key, std::move(entry)).first->second.keys;
}

base::Result<identity::TokenKeys> WaitForKeys(store::Store& store, std::string_view mesh,
                                              std::string_view prefix, runtime::Duration limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  std::mutex mutex;
  std::condition_variable never;
  while (true) {
    TRY_ASSIGN(auto keys, ReadKeys(store, mesh, prefix));
    if (!keys.empty() || std::chrono::steady_clock::now() >= end) return keys;
    // Once in the life of a mesh: not worth a subscription.
    std::unique_lock lock(mutex);
    never.wait_for(lock, std::chrono::milliseconds(20));
  }
}

identity::Revocations ReadRevocations(store::Store& store, std::string_view mesh,
                                      std::string_view name) {
  identity::Revocations revoked;
  const auto add = [&](const model::ResourceKey& key) {
    if (const auto found = store.Get(key))
      revoked.merge(identity::ParseRevocations(DataOf(**found)));
  };
  add({"GlobalSecret", "", std::string(name)});
  if (!mesh.empty()) add({"Secret", std::string(mesh), std::string(name)});
  return revoked;
}

base::Result<identity::UserClaims> CheckUserToken(store::Store& store, KeyMemo& memo,
                                                  std::string_view token, model::WallTime now) {
  TRY_ASSIGN(const auto keys, memo.Read(store, "", identity::kUserKeyPrefix));
  const identity::Revocations revoked = ReadRevocations(store, "", identity::kUserRevocationsName);
  TRY_ASSIGN(auto checked, identity::CheckUserToken(token, {*keys, revoked, now}));
  return checked.claims;
}

base::Status CheckDataplaneToken(store::Store& store, KeyMemo& memo, std::string_view token,
                                 const model::Metadata& dataplane, model::WallTime now) {
  const std::string& mesh = dataplane.mesh;
  TRY_ASSIGN(const auto keys, memo.Read(store, mesh, identity::DataplaneKeyPrefix(mesh)));
  const identity::Revocations revoked =
      ReadRevocations(store, mesh, identity::DataplaneRevocationsName(mesh));
  TRY_ASSIGN(const auto checked, identity::CheckDataplaneToken(token, {*keys, revoked, now}));
  return identity::CheckDataplane(checked.claims, dataplane, false);
}

}  // namespace kuma::rest
