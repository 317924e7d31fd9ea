#include "store/store.h"

#include <future>

namespace kuma::store {

base::Result<Committed> Store::Commit(Transaction transaction) {
  // Shared: set_value() may still be running when get() returns.
  const auto answer = std::make_shared<std::promise<base::Result<Committed>>>();
  CommitAsync(std::move(transaction), [answer](base::Result<Committed> committed) {
    answer->set_value(std::move(committed));
  });
  return answer->get_future().get();
}

}  // namespace kuma::store
