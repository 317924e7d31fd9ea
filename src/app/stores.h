#pragma once

// Which store a configuration means, and what is done with its file: opened, saved, put back.

#include <memory>
#include <string>

#include "app/config.h"
#include "base/result.h"
#include "model/resource_type.h"
#include "runtime/clock.h"
#include "store/store.h"

namespace kuma::app {

// Every kind of resource; for the life of the process.
const model::TypeTable& Types();

// general.workDir, made with its parents where it is missing. kUnavailable: not writable.
base::Result<std::string> WorkFolder(const Config& config);

// `clock` outlives the store. Errors name the path or the key.
base::Result<std::unique_ptr<store::Store>> OpenStore(const Config& config,
                                                      const runtime::Clock& clock);

// `kuma-cp backup FILE` and `kuma-cp restore FILE`: do it and say what was done on standard output.
base::Status Backup(const Config& config, const std::string& file);
base::Status Restore(const Config& config, const std::string& file);

}  // namespace kuma::app
