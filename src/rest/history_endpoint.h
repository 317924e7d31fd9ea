#pragma once

// The history of what users write: read it, compare two revisions, go back to one.
//
//   GET  /history?type=&mesh=&name=&since=&before=&limit=   changes, newest first
//   GET  /history/{revision}                                one revision with its differences
//   GET  /history/diff?from=&to=                            what changed between two revisions
//   POST /history/rollback {to, dryRun, expected}           puts back what was at `to`

#include <span>
#include <string>
#include <vector>

#include "net/http.h"
#include "rest/access.h"
#include "runtime/clock.h"
#include "store/store.h"

namespace kuma::rest {

// Who makes a write, for the history.
store::Origin OriginOf(const net::HttpRequest& request, const Principal& principal);

// Thread-safe; calls block on the store, so they run on the rest pool.
class HistoryEndpoint {
 public:
  // All outlive the endpoint.
  HistoryEndpoint(store::Store& store, const model::TypeTable& types, AccessRules access,
                  std::string url_prefix, bool read_only);

  // `rest`: the segments of the path behind "history".
  net::HttpResponse Answer(const net::HttpRequest& request, const Principal& principal,
                           std::span<const std::string> rest) const;

 private:
  net::HttpResponse List(const net::HttpRequest& request, const Principal& principal) const;
  net::HttpResponse One(const Principal& principal, const std::string& revision) const;
  net::HttpResponse Compare(const net::HttpRequest& request, const Principal& principal) const;
  net::HttpResponse RollBack(const net::HttpRequest& request, const Principal& principal) const;

  // Entries of secrets are for those who may read secrets.
  void HideSecrets(const Principal& principal, std::vector<store::HistoryEntry>& entries) const;

  store::Store& store_;
  const model::TypeTable& types_;
  const AccessRules access_;
  const std::string url_prefix_;
  const bool read_only_;  // apiServer.readOnly: nothing is rolled back
};

}  // namespace kuma::rest
